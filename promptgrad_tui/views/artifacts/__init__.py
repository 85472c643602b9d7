"""Artifacts in words: measured again, released, made shorter, or with a large model behind a small one."""
