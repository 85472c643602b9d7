"""`promptgrad models` and its subcommands."""
