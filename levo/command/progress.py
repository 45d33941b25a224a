"""What is seen of a run on a terminal: bars by tqdm where it is installed, and a line for each song."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any

from ..progress import OnStep

log = logging.getLogger(__name__)


class Bars:
    """A bar for all songs, and one for what is being done now. Without a terminal or tqdm only lines."""

    def __init__(self, songs: int, quiet: bool = False):
        self._songs, self._done, self._quiet = songs, 0, quiet
        self._whole = None if quiet else _bar(total=songs, unit="song")
        self._part: Any = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for bar in (self._part, self._whole):
            if bar is not None:
                bar.close()

    def watch(self, what: str) -> OnStep:
        """Where work on the song that is made now says how far it is."""
        if self._whole is None:
            return lambda done, total: None
        if self._part is not None:
            self._part.close()
        self._part = bar = _bar(desc=what, unit="step", leave=False)

        def on_step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return on_step

    def song(self, line: str) -> None:
        """Tell that a song is made, or could not be."""
        self._done += 1
        if self._whole is not None:
            self._whole.write(line, file=sys.stderr)
            self._whole.update()
        elif not self._quiet:
            sys.stderr.write(f"{self._done}/{self._songs} {line}\n")
            sys.stderr.flush()


def _bar(**options: Any) -> Any:
    """A bar of tqdm; None where there is no tqdm, or nobody sees it."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(file=sys.stderr, dynamic_ncols=True, **options) if sys.stderr.isatty() else None
