"""`promptgrad runs` and its subcommands."""
