"""The commands of `promptgrad`, a file for each; what they share is in `shared`.

A command reads its arguments, calls the work, and prints what views make of the result. Work is imported
inside the function, so that `--help` starts at once.
"""
