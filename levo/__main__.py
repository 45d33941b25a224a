"""`python -m levo`: songs of a list without a screen; see levo/command."""

from __future__ import annotations

import sys

from .command.main import main

if __name__ == "__main__":
    sys.exit(main())
