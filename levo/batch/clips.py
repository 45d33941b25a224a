"""Whether a clip that a song of a list shall sound like is of use, before anything is composed.

Knows nothing of how a file is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..audio.sound import sound_of
from ..style_encoder.clip import Recording, choose


def require_clip(path: Path, waveform: Tensor, rate: int, starts: Iterable[float | None]) -> None:
    """Raise a ValueError with a sentence unless a style can be made of a clip.

    Args:
        path: of the file.
        waveform: [1, channels, samples] at `rate` samples a second.
        rate: of the waveform.
        starts: where the 10 s are to be taken, in seconds; None for the loudest.
    """
    name = f"clip {path.name!r}"
    sound = sound_of({"waveform": waveform, "sample_rate": rate}, name)
    for start in starts:
        choose(Recording(sound.waveform, sound.rate, name), start)
