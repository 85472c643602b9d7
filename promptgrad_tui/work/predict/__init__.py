"""Predictions with a saved artifact."""
