"""Programs: a DSPy module as the optimizer sees it, with its rules, predictors, formatting and metrics.

It stands on `engine.ground` alone.
"""
