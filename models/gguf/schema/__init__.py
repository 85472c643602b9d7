"""Parts of a JSON schema as a grammar: bounds of numbers, and texts by pattern or format."""
