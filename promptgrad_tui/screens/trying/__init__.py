"""The Try screen."""
