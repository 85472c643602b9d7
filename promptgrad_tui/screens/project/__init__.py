"""The project screen."""
