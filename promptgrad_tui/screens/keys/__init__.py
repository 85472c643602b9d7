"""Keys: every action once, from which bindings, footer, palette, help and the page of keys are made."""
