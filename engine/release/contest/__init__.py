"""Methods compared at the same budget: one model, one set of splits, one look at the test split for all."""
