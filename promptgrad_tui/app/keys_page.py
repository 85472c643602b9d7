"""`python -m promptgrad_tui.app.keys_page` prints the documentation's page of keys."""

from __future__ import annotations

import sys

from promptgrad_tui.app.actions import keys_page

if __name__ == "__main__":
    sys.stdout.write(keys_page())
