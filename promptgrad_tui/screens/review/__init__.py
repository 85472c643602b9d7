"""The review screens: decisions on what a run has learned, and grades for a judge."""
