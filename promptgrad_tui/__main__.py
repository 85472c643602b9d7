"""`python -m promptgrad_tui` is the `promptgrad` command."""

from __future__ import annotations

from promptgrad_tui.cli import main

if __name__ == "__main__":
    main()
