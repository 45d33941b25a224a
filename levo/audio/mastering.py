"""What a song gets after decoding: a clean end, a loudness, and peaks that no player clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from ..config import require_number
from .loudness import NOTHING, integrated_loudness, peaks

LOOKAHEAD_SECONDS = 0.025  # seconds that the limiter keeps its gain around a peak, and takes to reach it


@dataclass(frozen=True)
class Finish:
    """What is done to a song, in this order; None leaves it out.

    Raises:
        SettingError: nothing can be done with these numbers.
    """

    silence: float | None = None  # dBFS: cut off what is quieter at the end
    fade: float | None = None  # seconds: fade out songs that were cut
    loudness: float | None = None  # LUFS: turn the song up or down to it
    ceiling: float | None = None  # dBTP: turn peaks down to it

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("level of silence (silence_db)", self.silence, -300, 100),
            ("length of the fade (fade_seconds)", self.fade, 0, 36_000),
            ("loudness (loudness_lufs)", self.loudness, -100, 100),
            ("ceiling (ceiling_db)", self.ceiling, -100, 100),
        ):
            if value is not None:
                require_number(name, value, low, high)


def finish(audio: Tensor, rate: int, settings: Finish, cut: Sequence[bool]) -> Tensor:
    """Finish songs.

    Args:
        audio: [B, channels, samples], mono or stereo.
        rate: samples a second.
        settings: what to do.
        cut: for each song whether to fade it out.

    Returns:
        [B, channels, n] with n samples of the longest song, zeros behind shorter ones; where there is
        nothing to do the samples are the same to the bit.
    """
    songs = [_finished(song, rate, settings, faded) for song, faded in zip(audio, cut, strict=True)]
    longest = max(song.shape[-1] for song in songs)
    return torch.stack([torch.nn.functional.pad(song, (0, longest - song.shape[-1])) for song in songs])


def _finished(song: Tensor, rate: int, settings: Finish, cut: bool) -> Tensor:
    if settings.silence is not None:
        song = song[:, : sound_end(song, settings.silence)]
    if settings.fade is not None and cut:
        song = fade_out(song, round(settings.fade * rate))
    if settings.loudness is not None:
        song = to_loudness(song, rate, settings.loudness)
    if settings.ceiling is not None:
        song = limit(song, rate, settings.ceiling)
    return song


def sound_end(song: Tensor, threshold: float) -> int:
    """Samples of [channels, samples] up to the last one above a level in dBFS; all, if none is above it."""
    loud = (song.abs().amax(0) > 10 ** (threshold / 20)).nonzero()
    return int(loud[-1]) + 1 if len(loud) else song.shape[-1]


def fade_out(song: Tensor, samples: int) -> Tensor:
    """Fade the last samples of [channels, samples] to nothing, along half a cosine."""
    samples = min(samples, song.shape[-1])
    if not samples:
        return song
    song = song.clone()
    song[:, -samples:] *= 0.5 + 0.5 * torch.cos(torch.linspace(0, pi, samples, dtype=song.dtype))
    return song


def to_loudness(song: Tensor, rate: int, target: float) -> Tensor:
    """Turn [channels, samples] up or down to an integrated loudness in LUFS; silence stays as it is."""
    now = integrated_loudness(song, rate)
    return song if now == NOTHING else song * 10 ** ((target - now) / 20)


def limit(song: Tensor, rate: int, ceiling: float) -> Tensor:
    """Turn down where true peaks of [channels, samples] are above a ceiling in dBTP, all channels alike.

    Around each such peak the gain falls and rises again, smoothly. What is left above the ceiling, because
    the moving gain bends the wave between samples, is taken from the whole song.
    """
    most = 10 ** (ceiling / 20)
    levels = peaks(song)
    if not (levels > most).any():
        return song
    song = song * _smooth((most / levels).clamp_max(1), max(1, round(LOOKAHEAD_SECONDS * rate)))
    highest = peaks(song).amax().item()
    return song * (most / highest) if highest > most else song


def _smooth(gain: Tensor, look: int) -> Tensor:
    """A gain [T] that moves smoothly and is nowhere above the given one."""
    size = 2 * look + 1
    # The least gain around each sample, by minima over ever wider spans.
    least = torch.nn.functional.pad(gain, (2 * look, 2 * look), value=1.0)
    span = 1
    while span < size:
        step = min(span, size - span)
        least = torch.minimum(least[:-step], least[step:])
        span += step
    # A mean of those over the same width holds in each sample what that sample needs. Two of half the
    # width, one after the other, have no corners.
    return _mean(_mean(least.double(), look + 1), look + 1).to(gain.dtype)


def _mean(x: Tensor, size: int) -> Tensor:
    """Means of all spans of `size` of [T] values: [T - size + 1]."""
    sums = torch.nn.functional.pad(x.cumsum(0), (1, 0))
    return (sums[size:] - sums[:-size]) / size
