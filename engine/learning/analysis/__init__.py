"""The analysis of a batch: how failures are shown to a model, what it is asked, how its answer is read."""
