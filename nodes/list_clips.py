"""The clips that songs of a list shall sound like: opened when the list is read, so that what is wrong with
one is known before anything is composed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..levo.batch.clips import require_clip
from ..levo.batch.song_list import Hear, SongListError
from .host import prompts, reporting

STYLE_NODE = "LeVoStyleFromAudio"


def sound(path: Path) -> dict:
    """A file as AUDIO.

    Raises:
        SongListError: it cannot be decoded.
    """
    from comfy_extras.nodes_audio import load

    try:
        waveform, rate = load(str(path))
    except Exception as error:  # of whatever kind the decoder and ComfyUI raise
        raise SongListError(f"{path} is no audio that ComfyUI can read; convert it to FLAC.") from error
    return {"waveform": waveform[None], "sample_rate": rate}


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
    """Why a clip is of no use, "" if it is; `state` makes a changed file another question."""
    try:
        audio = sound(path)
        require_clip(path, audio["waveform"], audio["sample_rate"], starts)
    except ValueError as error:
        return str(error)
    return ""
