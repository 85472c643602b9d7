"""What a run looks like: the faces that turn its events into something to read."""
