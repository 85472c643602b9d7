"""Grading answers for a judge, one key each."""
