"""Proposal sources: each suggests rules from what is known of a batch, and tests nothing."""
