"""Ways to run one model on a machine, and the work of an optimizer that they are timed on."""
