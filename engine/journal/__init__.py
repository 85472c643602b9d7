"""The journal: typed events in one SQLite file, replay, locks, and what is live beside it.

It stands on `engine.ground` and `engine.programs`.
"""
