"""Artifacts after the run that made them: gates, the matrix, exports."""
