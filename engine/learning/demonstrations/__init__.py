"""Demonstrations: sets drawn from the training examples, and the search for the best one."""
