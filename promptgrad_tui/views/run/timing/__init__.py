"""How far a run has got, how long it will take, and where its time went: folds of its events.

A file here takes in events one by one and knows no screen.
"""
