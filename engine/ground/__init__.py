"""The ground floor: errors, what a model and its revision are, scores, seeds, words.

Everything may import it; it imports nothing of ours.
"""
