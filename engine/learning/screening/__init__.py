"""Screening: candidates ranked on training examples before any is tested."""
