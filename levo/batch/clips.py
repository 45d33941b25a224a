"""Whether a clip that a song of a list shall sound like is of use, before anything is composed.

Knows nothing of how a file is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..audio.sound import is_sound
from ..style_encoder.clip import Recording, choose
from .song_list import SongListError


def require_clip(path: Path, waveform: Tensor, rate: int, starts: Iterable[float | None]) -> None:
    """Raise a ValueError with a sentence unless a style can be made of a clip.

    Args:
        path: of the file.
        waveform: [1, channels, samples] at `rate` samples a second.
        rate: of the waveform.
        starts: where the 10 s are to be taken, in seconds; None for the loudest.
    """
    if not is_sound(waveform):
        raise SongListError(f"{path} has samples that are no numbers; convert it to FLAC.")
    for start in starts:
        choose(Recording(waveform, rate, f"clip {path.name!r}"), start)
