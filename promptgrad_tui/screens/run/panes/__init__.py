"""The panes of the run screen: which columns each has, and how a row of it is painted."""
