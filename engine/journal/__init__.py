"""The journal: typed events in one SQLite file, replay, locks, and live texts beside it.

It stands on `engine.ground` and `engine.programs`.
"""
