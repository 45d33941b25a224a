"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".part"


def unfinished(path: Path) -> Path:
    """What a file is called until it is complete: it lies beside it, so on the same disk."""
    return path.with_name(f"{path.name}{SUFFIX}")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a path to write to, whose file takes the place of `path` at the end.

    If anything is raised in between, what was written goes away and `path` stays as it was.

    Args:
        path: of the new file, in a folder that exists; a file that is there is replaced.
    """
    temporary = unfinished(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
