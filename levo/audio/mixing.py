"""Several tracks become one sound: each turned up or down, then added. Knows nothing of songs or nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch

from ..config import require_number
from .sound import Sound, SoundError

SILENT = -60.0  # dB: a track turned down as far as this, or further, is not heard at all
_WHAT_DIFFERS = ("sample rates", "lengths", "numbers of songs")
_REMEDY = "connect tracks of one song, or bring them to one rate, length and number first"


@dataclass(frozen=True)
class Fader:
    """A track and how far it is turned up.

    Raises:
        SettingError: the gain is no number from -300 to 100 dB.
    """

    name: str  # for messages
    sound: Sound
    gain_db: float

    def __post_init__(self) -> None:
        require_number(f"gain of the {self.name} in dB", self.gain_db, -300, 100)

    @property
    def gain(self) -> float:
        """What its samples are multiplied by."""
        return 10 ** (self.gain_db / 20) if self.gain_db > SILENT else 0.0


def mixed(faders: Sequence[Fader]) -> Sound:
    """Add tracks up.

    Mono is heard on both sides where another track is stereo. Nothing is limited: sums may be above 1.

    Args:
        faders: one or more.

    Returns:
        float32, or float64 where a track is. At 0 dB samples are added as they are, and those of a single
        track stay the same to the bit; what is silent adds nothing.

    Raises:
        SoundError: the tracks are not alike.
    """
    _require_alike({fader.name: fader.sound for fader in faders})
    waveforms = [fader.sound.waveform for fader in faders]
    dtype = reduce(torch.promote_types, (waveform.dtype for waveform in waveforms), torch.float32)
    shape = torch.broadcast_shapes(*(waveform.shape for waveform in waveforms))
    total = torch.zeros(shape, dtype=dtype)
    audible = [
        (waveform, fader.gain) for waveform, fader in zip(waveforms, faders, strict=True) if fader.gain
    ]
    for number, (waveform, gain) in enumerate(audible):
        part = waveform.to(dtype)
        part = part if gain == 1 else part * gain
        total = total + part if number else part.expand(shape)
    return Sound(total.contiguous(), faders[0].sound.rate)


def _require_alike(sounds: Mapping[str, Sound]) -> None:
    """Raises SoundError: two tracks have not the same rate, length or number of songs."""
    for what, measures in zip(_WHAT_DIFFERS, _measured(sounds), strict=True):
        if len(set(measures.values())) > 1:
            listed = ", ".join(f"{name} {measure}" for name, measure in measures.items())
            raise SoundError(f"The tracks have different {what} ({listed}); {_REMEDY}.")


def _measured(sounds: Mapping[str, Sound]) -> tuple[dict[str, str], ...]:
    """Rate, length and number of songs of each track, in words."""
    rates = {name: f"{sound.rate:,} Hz" for name, sound in sounds.items()}
    lengths = {
        name: f"{sound.waveform.shape[-1] / sound.rate:.2f} s or {sound.waveform.shape[-1]:,} samples"
        for name, sound in sounds.items()
    }
    songs = {name: str(len(sound.waveform)) for name, sound in sounds.items()}
    return rates, lengths, songs
