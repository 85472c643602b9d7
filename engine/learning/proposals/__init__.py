"""Proposal sources: each suggests rules from the findings of a batch and tests nothing."""
