"""Two programs behind one door: the small model answers where it is sure, the large one everywhere else."""
