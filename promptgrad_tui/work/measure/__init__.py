"""An artifact measured again: on another model, or on new data."""
