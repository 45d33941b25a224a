"""What all benchmarks share: the machine's name, runs that take turns, and a table in plain text."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")


def machine() -> str:
    """Processor, threads that torch uses, and torch's version, for a table's title."""
    described = Path("/proc/cpuinfo").read_text("utf-8")
    names = [
        line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")
    ]
    name = names[0] if names else "unknown processor"
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def in_turns(cases: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What every case gives in each of `rounds` rounds.

    The cases take turns (A, B, C, A, B, C), so that a busy machine holds all of them up alike.
    """
    results: dict[str, list[T]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            results[name].append(case())
            gc.collect()
    return results


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: a title, the names of its columns, and rows; all but the first column flush right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(title)
    for row in (head, *rows):
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join((first.strip().ljust(widths[0]), *others)).rstrip())
    print(flush=True)
