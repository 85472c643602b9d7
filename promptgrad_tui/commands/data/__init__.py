"""`promptgrad data`: examples from elsewhere."""
