"""The lines on a node that composes: what people should know, and below it what is going on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ..levo.lelm.compose import OnStep
from ..levo.text import status
from . import placement

log = logging.getLogger(__name__)

SAY_SECONDS = 1.0  # between two lines


class Report:
    """What one run says on its node: remarks, which stay, and one line that changes."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id = node_id
        self._remarks: list[str] = []
        self._line = self._rendered = ""
        self._start = time.monotonic()
        self._first = self._done = 0  # steps

    def note(self, text: str) -> None:
        """Show a remark and write it to the log."""
        log.warning(text)
        self.remark(text)

    def remark(self, text: str) -> None:
        """Show a line that stays."""
        self._remarks.append(text)
        self._say(self._line)

    def composing(self, lyrics: str, frames: int, advance: OnStep | None = None) -> OnStep:
        """A callback for the composing loop: progress bar, Cancel, and a line about once a second.

        Args:
            lyrics: in the strict format; "." for an instrumental.
            frames: of the song at most.
            advance: what moves the bar and obeys Cancel, where composing is not all that a node does.
        """
        advance, sections = advance or placement.progress(), status.sections_of(lyrics)
        said = 0.0

        def on_step(done: int, total: int) -> None:
            nonlocal said
            advance(done, total)
            now = time.monotonic()
            if not said:  # what came before was no composing: the prompt, and kept frames
                self._start, self._first, said = now, done, now
            self._done = done
            if now - said >= SAY_SECONDS:
                said = now
                line = status.under_way(done, total, frames, self._pace(now), sections)
                self._say(line + self._rendered)

        return on_step

    def composed(self, lengths: Sequence[int], ended: Sequence[bool]) -> None:
        """Show how the takes ended: frames of each, and whether by itself."""
        now = time.monotonic()
        self._say(status.finished(lengths, ended, self._pace(now), now - self._start))

    def rendered(self, seconds: float) -> None:
        """Tell with the lines to come how much of the song is rendered."""
        self._rendered = f" - {status.clock(seconds)} rendered"

    def _pace(self, now: float) -> float:
        """Steps a second."""
        return (self._done - self._first) / max(now - self._start, 1e-9)

    def _say(self, line: str) -> None:
        self._line = line
        placement.show(self._node_id, "\n".join(filter(None, [*self._remarks, line])))
