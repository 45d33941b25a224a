"""Tries one odd thing after the other and judges what came of each; knows nothing of nodes.

A case gives what it makes, or raises. An exception counts as a sentence if our own code raised it on
purpose and it reads as one; anything else that is raised is a traceback.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.pack import ROOT

SENTENCE, USED, SILENT, TRACEBACK, HANG, LEFT = OUTCOMES = (
    "sentence",
    "used",
    "silent",
    "traceback",
    "hang",
    "left behind",
)
FAULTS = (SILENT, TRACEBACK, HANG, LEFT)
SECONDS = 25.0
LONGEST_SENTENCE = 4000


class Hang(BaseException):
    """A case took longer than it may."""


class Silent(AssertionError):
    """What should have been refused was taken, or came out wrong, without a word."""


class LeftBehind(AssertionError):
    """Something lies in a folder that should not."""


@dataclass
class Findings:
    """What came of the cases of one area."""

    area: str
    seconds: float = SECONDS  # after which a case hangs
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def attempt(self, name: str, case: Callable[[], Any]) -> None:
        """Run a case and count its outcome."""
        start = time.monotonic()
        outcome, said = judged(case, self.seconds)
        self.slowest = max(self.slowest, (round(time.monotonic() - start, 2), name))
        self.counts[outcome] += 1
        if outcome in FAULTS:
            self.faults.append(f"{outcome}: {name}: {said}")

    def report(self) -> None:
        """Print what was found, as JSON on one line, for the process that asked for it."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        found = {"area": self.area, "counts": self.counts, "faults": self.faults}
        print(json.dumps(found | {"slowest": self.slowest, "peak": peak}))


def judged(case: Callable[[], Any], seconds: float) -> tuple[str, str]:
    """The outcome of a case, and what was said."""
    try:
        with limited(seconds):
            case()
    except Hang:
        return HANG, f"over {seconds:.0f} s"
    except Silent as error:
        return SILENT, str(error)
    except LeftBehind as error:
        return LEFT, str(error)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error)[:300]}"
        return (SENTENCE if is_sentence(error) else TRACEBACK), said
    return USED, ""


def is_sentence(error: Exception) -> bool:
    """Whether our code raised it on purpose, for a reader."""
    text = str(error).strip()
    reads_well = text.endswith(".") and "Error:" not in text and "\n  File" not in text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = frame.filename.startswith((str(ROOT / "levo"), str(ROOT / "nodes")))
    on_purpose = ours and "assert" not in (frame.line or "") and type(error) not in (KeyError, IndexError)
    return on_purpose and reads_well and len(text) < LONGEST_SENTENCE


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Hang in what takes longer."""

    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def progress(text: str) -> None:
    """A line for who waits."""
    print(text, file=sys.stderr, flush=True)
