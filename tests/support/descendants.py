"""Processes that a test started, and what those started: found by Linux's /proc, and ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def below(pid: int) -> list[int]:
    """Processes that a process started, and those that they started."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    found, seen = [], [pid]
    while seen:
        parent = seen.pop()
        children = [child for child, its in parents.items() if its == parent]
        found += children
        seen += children
    return found


def name_of(pid: int) -> str:
    """What a process calls itself; "" if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
    return ""


def kill(pid: int) -> None:
    """End a process at once, as a crash would."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _parent(path: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    return 0
