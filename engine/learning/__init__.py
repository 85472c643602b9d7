"""Learning: batches, gradients, proposals, tests of rules, and the loop that ties them together.

It stands on everything in `engine` but `engine.release`.
"""
