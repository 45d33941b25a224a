"""What people see and hear of a run: progress and Cancel, lines on a node, events and sound for editors."""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ...levo.files import atomic
from ...levo.text import status
from . import last_said

log = logging.getLogger(__name__)

UPDATE_SECONDS = 0.1  # between two of a progress bar
SAY_SECONDS = 1.0  # between two lines
SAID = "levo_said"  # in a node's `ui`: what stays on it when the run is over; see web/js/said.js

_last_texts: dict[str, str] = {}  # id of a node that runs -> what it said last


class Progress:
    """A callback for long loops: moves the node's progress bar and obeys Cancel at every step."""

    def __init__(self) -> None:
        self._bar: comfy.utils.ProgressBar | None = None
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        mm.throw_exception_if_processing_interrupted()
        now = time.monotonic()
        if now - self._last < UPDATE_SECONDS and done < total:
            return
        self._bar, self._last = self._bar or comfy.utils.ProgressBar(total), now
        self._bar.update_absolute(done, total)


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
    """Show lines of text on the node; the last ones of a run stay, see `keeping`."""
    if node_id is not None and PromptServer.instance is not None:
        _last_texts[node_id] = text
        last_said.remember(node_id, text)
        PromptServer.instance.send_progress_text(as_shown(text), node_id)


def keeping(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same node, whose `ui` holds what it said last: so it is in the history, and stays on the node."""
    execute = node.execute.__func__

    @functools.wraps(execute)
    def kept(cls: type[io.ComfyNode], *args: Any, **kwargs: Any) -> io.NodeOutput:
        context = get_executing_context()
        node_id = context.node_id if context else ""
        _last_texts.pop(node_id, None)
        last_said.forget(node_id)
        try:
            output = execute(cls, *args, **kwargs)
        except BaseException:
            last_said.forget(node_id)
            raise
        finally:
            text = _last_texts.pop(node_id, "")
        return _with_words(output, text)

    node.execute = classmethod(kept)
    return node


def _with_words(output: io.NodeOutput, text: str) -> io.NodeOutput:
    """An output that also says a text. All outputs of a node that runs over lists need the same keys."""
    if output.ui is None and not text:
        return output
    ui = {} if output.ui is None else output.ui if isinstance(output.ui, dict) else output.ui.as_dict()
    texts = [text.encode("utf-8", "replace").decode("utf-8")] if text else []
    output.ui = {**ui, SAID: texts}
    return output


def as_shown(text: str) -> str:
    """A text as the editor's own widget shows it letter by letter.

    The widget takes it for HTML, for links as in [[label|address]], and for the marks __LNK0__ that it puts
    in place of those, of which it knows none but its own; half a character would not leave the server.
    """
    text = escape(text.encode("utf-8", "replace").decode("utf-8"), quote=False)
    return text.replace("[[", "[&#91;").replace("__LNK", "_&#95;LNK")


def say(text: str) -> None:
    """Show lines of text on the node that runs now.

    For nodes that do not ask for their id: asking would make two alike in different workflows load twice.
    """
    context = get_executing_context()
    show_text(context.node_id if context else None, text)


def preview(audio: dict[str, Any], node: type[io.ComfyNode] | None = None) -> ui.SavedResult:
    """Write an AUDIO of one take into ComfyUI's temporary folder as FLAC; gives what the editor plays.

    Args:
        audio: to hear.
        node: whose workflow goes into the file.

    Raises:
        WriteError: the disk is full or cannot be written; nothing is left behind.
    """
    folder, prefix = Path(folder_paths.get_temp_directory()), f"LeVo_{secrets.token_hex(8)}"
    try:
        with atomic.explaining_errors(folder, 2 * audio["waveform"].numel()):
            return ui.AudioSaveHelper.save_audio(audio, prefix, io.FolderType.temp, node)[0]
    except BaseException:
        for path in folder.glob(f"{prefix}*"):
            with suppress(OSError):
                path.unlink()
        raise


def text_file(text: str) -> dict[str, str]:
    """Write a text into ComfyUI's temporary folder; gives its entry for a node's `ui`, under "files".

    A page of a graph's outputs (App mode) shows such files, and no other text.

    Raises:
        WriteError: the disk is full or cannot be written; nothing is left behind.
    """
    name = f"LeVo_{secrets.token_hex(8)}.txt"
    with atomic.writing(Path(folder_paths.get_temp_directory()) / name) as path:
        path.write_text(text, encoding="utf-8", errors="replace")
    return {"filename": name, "subfolder": "", "type": io.FolderType.temp.value}


class Report:
    """What one run says on its node: remarks, which stay, and one line that changes."""

    def __init__(self, node_id: str | None, lyrics: str, frames: int) -> None:
        """Start with nothing said.

        Args:
            node_id: of the node.
            lyrics: in the strict format; "." for an instrumental.
            frames: of the song at most.
        """
        self._node_id, self._frames, self._sections = node_id, frames, status.sections_of(lyrics)
        self._remarks: list[str] = []
        self._line = self._rendered = ""
        self._start, self._reported_at = time.monotonic(), 0.0
        self._first = self._done = 0  # steps

    def note(self, text: str) -> None:
        """Show a remark and write it to the log."""
        log.warning(text)
        self.remark(text)

    def remark(self, text: str) -> None:
        """Show a line that stays."""
        self._remarks.append(text)
        self._say(self._line)

    def composing(self, done: int, total: int) -> None:
        """Show how far composing is, about once a second."""
        now = time.monotonic()
        if not self._reported_at:  # what came before was no composing: the prompt, and kept frames
            self._start, self._first, self._reported_at = now, done, now
        self._done = done
        if now - self._reported_at >= SAY_SECONDS:
            self._reported_at = now
            line = status.under_way(done, total, self._frames, self._pace(now), self._sections)
            self._say(line + self._rendered)

    def composed(self, lengths: Sequence[int], ended: Sequence[bool], tiny: bool) -> None:
        """Show how the takes ended: frames, whether by itself, whether the tiny model made them."""
        now = time.monotonic()
        self._say(status.finished(lengths, ended, self._pace(now), now - self._start, tiny))

    def rendered(self, seconds: float) -> None:
        """Tell with the lines to come how much of the song is rendered."""
        self._rendered = f" - {status.clock(seconds)} rendered"

    def _pace(self, now: float) -> float:
        """Steps a second."""
        return (self._done - self._first) / max(now - self._start, 1e-9)

    def _say(self, line: str) -> None:
        self._line = line
        show_text(self._node_id, "\n".join(filter(None, [*self._remarks, line])))
