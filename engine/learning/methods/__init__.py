"""The field's other optimizers as methods of one kind: a program and a budget in, a program out.

A method's calls go through the run's replay: they are journaled, resumed and counted like all others.
"""
