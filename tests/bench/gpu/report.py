"""Figures of a check on a card: said as they come, kept in a file, judged by their bounds."""

from __future__ import annotations

import gc
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from bench.table import show

NOTE = 60  # characters of one in the table
OK, MISSED, FAILED, SKIPPED, DRY = "ok", "MISSED", "FAILED", "skipped", "not judged"


@dataclass(frozen=True)
class Figure:
    """One measured number, or what became of it."""

    part: str
    name: str
    value: float | None = None
    unit: str = ""
    bound: str = ""
    verdict: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The number with its unit."""
        if self.value is None:
            return self.note
        digits = 0 if abs(self.value) >= 1000 else 2 if abs(self.value) >= 0.1 else 6
        return f"{self.value:.{digits}f} {self.unit}".strip()


class Report(logging.Handler):
    """The figures of one part. Hears what the pack warns of: then something else ran than was asked for."""

    def __init__(self, part: str, file: Path, dry: bool):
        """Start without any; each is added to `file` as a line of JSON, and none is judged if `dry`."""
        super().__init__(logging.WARNING)
        self.part, self._file, self._dry = part, file, dry
        self._said: list[str] = []
        self._explained: set[str] = set()
        logging.getLogger("levo").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if sys.exc_info()[0] and said not in self._explained:  # the line says less than what it is about
            traceback.print_exc()
            self._explained.add(said)
        self._said.append(said)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        least: float | None = None,
        most: float | None = None,
        note: str = "",
    ) -> None:
        """Say and keep a figure; with a bound it is judged."""
        bound = f">= {least:g}" if least is not None else f"<= {most:g}" if most is not None else ""
        verdict = ""
        if bound:
            held = value >= least if least is not None else value <= most
            verdict = DRY if self._dry else OK if held else MISSED
        self._keep(Figure(self.part, name, float(value), unit, bound, verdict, note))

    def skip(self, name: str, why: str) -> None:
        """Say that something is not measured."""
        self._keep(Figure(self.part, name, verdict=SKIPPED, note=why))

    def fail(self, name: str, why: str) -> None:
        """Say that something could not be measured, or not as it was meant to be."""
        self._keep(Figure(self.part, name, verdict=FAILED, note=why))

    @contextmanager
    def case(self, name: str, tidy: bool = True) -> Iterator[None]:
        """Go on after an error, which fails the case; so does what the pack warns of.

        Args:
            name: of the case.
            tidy: give back memory after it, which takes a moment.
        """
        around, self._said = self._said, []
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.fail(name, _in_a_line(error))
        finally:
            if tidy:
                clear()
        for said in dict.fromkeys(self._said):
            self.fail(name, said)
        self._said = around

    def _keep(self, figure: Figure) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figure)) + "\n")
        parts = [f"{figure.part}: {figure.name}: {figure.text}"]
        parts += [f"[{figure.bound}]"] if figure.bound else []
        parts += [figure.verdict] if figure.verdict else []
        parts += [f"({figure.note})"] if figure.note and figure.value is not None else []
        print(*parts, flush=True)


def clear() -> None:
    """Give back memory that nothing holds."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def figures_in(file: Path) -> list[Figure]:
    """What was kept in a file."""
    if not file.exists():
        return []
    return [Figure(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def summary(title: str, figures: list[Figure]) -> bool:
    """Print all figures as a table; tells whether none was missed or failed."""
    rows = [[f"{f.part}: {f.name}", f.text[:NOTE], f.bound, f.verdict] for f in figures]
    show(title, ["part: figure", "measured", "bound", ""], rows)
    bad = [figure for figure in figures if figure.verdict in (MISSED, FAILED)]
    print(f"{len(bad)} missed or failed" if bad else "nothing missed or failed", flush=True)
    return not bad


def _in_a_line(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
