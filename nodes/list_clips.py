"""The clips that songs of a list shall sound like: opened when the list is read, so that what is wrong with
one is known before anything is composed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..levo.batch.clips import require_clip
from ..levo.batch.song_list import Hear, SongListError
from ..levo.config import first_line
from ..levo.files.damage import unopened
from ..levo.memory import ran_out_of_ram
from .host import prompts, reporting

STYLE_NODE = "LeVoStyleFromAudio"


class NoAudioError(SongListError):
    """A file that holds no sound which ComfyUI can read."""


def sound(path: Path) -> dict:
    """A file as AUDIO.

    Raises:
        NoAudioError: it holds no sound that ComfyUI can read.
        SongListError: it cannot be opened, or not be decoded for another reason.
        RuntimeError, MemoryError, OSError: there is not enough memory.
    """
    from comfy_extras.nodes_audio import load

    try:
        waveform, rate = load(str(path))
    except Exception as error:  # of whatever kind the decoder and ComfyUI raise
        if ran_out_of_ram(error):
            raise
        raise _decoding_fault(path, error) from error
    return {"waveform": waveform[None], "sample_rate": rate}


def _decoding_fault(path: Path, error: Exception) -> SongListError:
    from av import FFmpegError

    if isinstance(error, OSError):
        return SongListError(unopened(path, error))
    if isinstance(error, ValueError | FFmpegError):
        return NoAudioError(f"{path} is no audio that ComfyUI can read; convert it to FLAC.")
    return SongListError(f"{path} cannot be decoded ({first_line(error)}); convert it to FLAC.")


def hearing(prompt: prompts.Prompt, node: str, output: int) -> Hear:
    """What is asked of a clip: to be sound, and to be of use to each LeVo Style from Audio that gets it.

    Args:
        prompt: the graph.
        node: that reads the list.
        output: its output of clips.
    """
    starts = []
    for other, name in prompts.fed_by(prompt, node, output):
        if other["class_type"] == STYLE_NODE and name == "audio":
            start, auto = other["inputs"].get("start", 0.0), other["inputs"].get("auto", False)
            known = auto is False and isinstance(start, int | float)
            starts.append(float(start) if known else None)

    def hear(path: Path) -> None:
        reporting.raise_if_cancelled()
        state = path.stat()
        if reason := _fault_of(path, (state.st_mtime_ns, state.st_size), tuple(starts)):
            raise SongListError(reason)

    return hear


@lru_cache(maxsize=10_000)
def _fault_of(path: Path, state: tuple, starts: tuple[float | None, ...]) -> str:
    """Why a clip is of no use, "" if it is; `state` makes a changed file another question.

    Raises:
        SongListError: what is wrong is not in the file itself, and may be over the next time.
    """
    try:
        audio = sound(path)
    except NoAudioError as error:
        return str(error)
    try:
        require_clip(path, audio["waveform"], audio["sample_rate"], starts)
    except ValueError as error:
        return str(error)
    return ""
