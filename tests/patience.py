"""How long a test waits for what must come; only what never comes takes so long, a busy machine does not."""

PATIENCE_SECONDS = 300.0
