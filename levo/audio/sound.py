"""A sound as other nodes hand it over: what of it is taken, and what is said of the rest.

Knows what ComfyUI calls AUDIO, a mapping of `waveform` and `sample_rate`; nothing of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from ..config import described

LARGEST = 2.0**31  # no format of samples holds more
SLOWEST, FASTEST = 4_000, 768_000  # Hz; loudness is not defined below, nothing is recorded above
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
MONO, STEREO = 1, 2


class SoundError(ValueError):
    """Why numbers are no sound, in one sentence."""


@dataclass(frozen=True)
class Sound:
    """Songs, one or more, of one length and rate; not empty."""

    # [B, 1 or 2, samples] of FLOATS, contiguous, on the CPU; none NaN, infinite or above LARGEST
    waveform: Tensor
    rate: int  # Hz

    def rows(self) -> list[Sound]:
        """Each song as a sound of its own."""
        return [Sound(row[None], self.rate) for row in self.waveform]


def sound_of(audio: object, name: str) -> Sound:
    """An AUDIO, checked.

    Args:
        audio: whatever stands on the socket.
        name: of the input, for messages.

    Raises:
        SoundError: no sound, or none that anything can be made of.
    """
    if audio is None:
        raise SoundError(
            f"The {name} is missing, as with a video that has no sound; connect a sound or leave this out."
        )
    if not isinstance(audio, Mapping) and not hasattr(type(audio), "keys"):
        raise SoundError(
            f"The {name} should be a sound and is {described(audio)}; connect an audio output."
        )
    waveform = _waveform(_entry(audio, "waveform", name), name)
    rate = _rate(_entry(audio, "sample_rate", name), name)
    if not is_sound(waveform):
        first = (~(waveform.abs() <= LARGEST)).any(0).any(0).nonzero()[0].item() / rate
        raise SoundError(
            f"The {name} has samples that are no numbers (NaN, infinite or beyond any sound), the first at "
            f"{first:.3f} s; take another file, or look at the node that made it."
        )
    return Sound(waveform, rate)


def is_sound(numbers: Tensor) -> bool:
    """Whether floats, if any, are numbers that a sound may have: not NaN, infinite or above LARGEST."""
    if numbers.is_meta or not numbers.numel():
        return True
    low, high = torch.stack(numbers.aminmax()).tolist()  # NaN, if any; ten times as fast as `isfinite`
    return bool(low >= -LARGEST and high <= LARGEST)


def _entry(audio: object, key: str, name: str) -> object:
    try:
        return audio[key]  # type: ignore[index]  # of a mapping, which may load only now
    except KeyError as error:
        raise SoundError(f"The {name} has no {key}, so it is no sound; connect an audio output.") from error


def _waveform(waveform: object, name: str) -> Tensor:
    if not isinstance(waveform, Tensor):
        raise SoundError(
            f"The {name} has a waveform that is no tensor but {described(waveform)}; connect another."
        )
    if waveform.layout != torch.strided or waveform.is_nested or waveform.is_meta:
        raise SoundError(
            f"The {name} is stored as a {_storage(waveform)} tensor; make it a plain one first."
        )
    if waveform.dtype not in FLOATS:
        kind = str(waveform.dtype).removeprefix("torch.")
        raise SoundError(f"The {name} has {kind} samples; make them float, from -1 to 1, first.")
    if waveform.ndim != 3:
        raise SoundError(
            f"The {name} has the shape {list(waveform.shape)}; it needs [batch, channels, samples]."
        )
    if not waveform.numel():
        raise SoundError(
            f"The {name} is empty ({waveform.shape[0]} songs of {waveform.shape[2]} samples); look at what "
            "comes in, for example a trim beyond the end."
        )
    if waveform.shape[1] not in (MONO, STEREO):
        raise SoundError(f"The {name} has {waveform.shape[1]} channels; make it mono or stereo first.")
    return waveform.detach().cpu().contiguous()  # as writers of sound files want it


def _storage(tensor: Tensor) -> str:
    if tensor.is_meta:
        return "meta"
    return "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")


def _rate(rate: object, name: str) -> int:
    if isinstance(rate, Tensor) and rate.ndim == 0:
        rate = rate.item()
    number = isinstance(rate, Real) and not isinstance(rate, bool)
    if number and SLOWEST <= rate <= FASTEST and rate == int(rate):  # type: ignore[operator, call-overload]
        return int(rate)  # type: ignore[call-overload]
    raise SoundError(
        f"The {name} has a sample rate that is {described(rate)}; it needs a whole number of Hz from "
        f"{SLOWEST:,} to {FASTEST:,}."
    )
