"""What people see of a run: progress and Cancel, lines on a node, events for the editor."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import comfy.model_management as mm
import comfy.utils
from server import PromptServer

from ...levo.lelm.compose import OnStep
from ...levo.text import status

log = logging.getLogger(__name__)

UPDATE_SECONDS = 0.1  # between two of a progress bar
SAY_SECONDS = 1.0  # between two lines


def progress() -> Callable[[int, int], None]:
    """A callback for long loops: moves the node's progress bar and obeys Cancel at every step."""
    bar, last = None, 0.0

    def on_step(done: int, total: int) -> None:
        nonlocal bar, last
        mm.throw_exception_if_processing_interrupted()
        now = time.monotonic()
        if now - last < UPDATE_SECONDS and done < total:
            return
        bar, last = bar or comfy.utils.ProgressBar(total), now
        bar.update_absolute(done, total)

    return on_step


def raise_if_cancelled() -> None:
    """Stop here if Cancel was pressed; for loops that no progress bar goes over."""
    mm.throw_exception_if_processing_interrupted()


def is_watched() -> bool:
    """Whether an editor, or another client that gave its name, queued what runs now."""
    server = getattr(PromptServer, "instance", None)
    return server is not None and server.client_id is not None


def send_event(event: str, data: dict[str, Any]) -> None:
    """Send an event of ours, with the run it is of, to who queued what runs now; see `is_watched`."""
    server = PromptServer.instance
    server.send_sync(event, {**data, "prompt_id": server.last_prompt_id}, server.client_id)


def warn(node_id: str | None, text: str) -> None:
    """Show a line of text on the node and write it to the log."""
    log.warning(text)
    show_text(node_id, text)


def show_text(node_id: str | None, text: str) -> None:
    """Show lines of text on the node."""
    if node_id is not None and PromptServer.instance is not None:  # the editor takes it for HTML
        PromptServer.instance.send_progress_text(escape(text, quote=False), node_id)


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
        advance, sections = advance or progress(), status.sections_of(lyrics)
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
        show_text(self._node_id, "\n".join(filter(None, [*self._remarks, line])))
