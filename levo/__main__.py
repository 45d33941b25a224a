"""`python -m levo`, and the command `levo`: songs of a list without a screen; see levo/command."""

from __future__ import annotations

import sys

STOPPED = 130  # as shells have it for Ctrl-C


def main() -> int:
    """Run the command line of this process; gives the exit status."""
    try:
        from .command.main import main as run  # torch takes seconds, in which Ctrl-C ends cleanly, too
    except KeyboardInterrupt:
        return STOPPED
    return run()


if __name__ == "__main__":
    sys.exit(main())
