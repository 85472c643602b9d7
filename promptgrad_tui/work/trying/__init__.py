"""The Try screen's other half: programs and a model that answer what a person types."""
