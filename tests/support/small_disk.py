"""A real disk of a few megabytes, where this machine lets tests mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 4 << 20  # bytes


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of SIZE bytes at `folder`; skips the test where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Fill a disk but for so many bytes."""
    filler = folder / "filler"
    free = SIZE - sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    filler.write_bytes(b"\0" * (free - left))
    return filler
