"""Releasing: runs from start to artifact, the sealed test, gates, manifests, the matrix and exports.

The top floor of `engine`.
"""
