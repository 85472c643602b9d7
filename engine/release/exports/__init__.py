"""Exports: an artifact's prompt for other tools, each exactly what was measured or marked where it isn't.

An export that differs from what was measured says where and why on its first line.
"""

from __future__ import annotations

from engine.release.exports.formats import FORMATS, export
from engine.release.exports.source import ExportSource, Serving

__all__ = ["FORMATS", "ExportSource", "Serving", "export"]
