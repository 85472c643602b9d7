"""What is done for a person, a room for each task; no widgets, no tables."""
