"""`promptgrad labels`: the labels that a run doubts."""
