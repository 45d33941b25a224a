"""What all benchmarks share: the device and its name, a clock, runs that take turns, and a table."""

from __future__ import annotations

import gc
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")


@cache
def device() -> torch.device:
    """Where benchmarks run: a CUDA card if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on_card() -> bool:
    """Whether benchmarks run on a CUDA card."""
    return device().type == "cuda"


def machine() -> str:
    """For a table's title: card and driver, or processor and threads that torch uses; torch's version."""
    if on_card():
        return f"{torch.cuda.get_device_name()}, driver {driver()}, torch {torch.__version__}"
    described = Path("/proc/cpuinfo").read_text("utf-8")
    names = [
        line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")
    ]
    name = names[0] if names else "unknown processor"
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def driver() -> str:
    """Version of the card's driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.CalledProcessError, IndexError):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]
    return "unknown"


def clock() -> float:
    """Seconds, read once the card has done all that it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    start = clock()
    work()
    return clock() - start


def in_seconds(duration: float) -> str:
    """A duration for a table; on a card it is short."""
    return f"{duration:.{4 if on_card() else 2}f}"


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let a card round the factors of float32 products to TF32, or not."""
    matrices, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matrices.allow_tf32, convolutions.allow_tf32
    matrices.allow_tf32 = convolutions.allow_tf32 = allowed
    try:
        yield
    finally:
        matrices.allow_tf32, convolutions.allow_tf32 = before


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
