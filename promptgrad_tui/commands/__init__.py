"""The subcommands of `promptgrad`, a file for each group."""
