"""Splitting whole songs: windows that overlap, a seeded shift, and the rates and channels of the input.

The method is that of Demucs (arXiv:1911.13254, the shift trick; arXiv:2211.08553, the overlap).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..audio.sound import SoundError, is_sound
from ..audio.waveform import resample
from ..config import SeparatorConfig
from ..progress import OnStep, ignore, part_of

OVERLAP = 0.25  # of a window with the next
SHIFT_SECONDS = 0.5  # at most
BROKEN = "The separator made numbers that are no sound; download its file again."


@dataclass(frozen=True)
class SeparatedStems:
    """What a mix is made of; each as the mix: [B, C, T] float32 on the CPU, at its rate."""

    vocals: Tensor
    accompaniment: Tensor  # the mix without the vocals
    drums: Tensor
    bass: Tensor
    other: Tensor


@dataclass(frozen=True)
class Window:
    """A stretch of a song, and where the model hears it."""

    start: int  # sample of the song
    length: int  # samples of the song
    model_start: int  # sample of the song where the model's window begins; may lie before it


def split(
    model: nn.Module,
    config: SeparatorConfig,
    mix: Tensor,
    rate: int,
    seed: int,
    device: torch.device | str = "cpu",
    on_step: OnStep = ignore,
) -> SeparatedStems:
    """Split songs into vocals, accompaniment and instruments.

    Args:
        model: HTDemucs on `device`.
        config: of the model.
        mix: [B, 1 or 2, T] at `rate`, of two samples or more at the model's own rate, too.
        rate: samples a second, any.
        seed: decides where the windows lie.
        device: where the model runs.
        on_step: called with (windows done, in all).

    Raises:
        ValueError: not two samples to hear, or more than two channels.
    """
    batch, channels, length = mix.shape
    if channels not in (1, 2):
        raise ValueError(f"Audio of {channels} channels cannot be split; give it mono or stereo.")
    if batch == 0 or min(length, ceil(length * config.sample_rate / rate)) < 2:
        raise ValueError(
            f"The audio that shall be split is empty or too short ({batch} songs of {length} samples at "
            f"{rate:,} Hz); give it a song."
        )
    mix = mix.float().cpu()
    songs = resample(mix, rate, config.sample_rate).expand(-1, 2, -1)
    most = int(SHIFT_SECONDS * config.sample_rate)
    shift = random.Random(seed).randint(0, most)
    each = len(list(windows(songs.shape[-1] + most - shift, config.window)))
    parts = torch.empty(batch, len(config.stems), 2, songs.shape[-1])
    for number, song in enumerate(songs):
        step = part_of(on_step, number * each, batch * each)
        parts[number] = separate(model, config, song, shift, device, step)
    if channels == 1:
        parts = parts.mean(dim=2, keepdim=True)
    back = resample(parts.flatten(1, 2), config.sample_rate, rate).view(*parts.shape[:3], -1)
    back = pad(back, (0, max(0, length - back.shape[-1])))[..., :length]
    stems = dict(zip(config.stems, back.unbind(dim=1), strict=True))
    return SeparatedStems(accompaniment=mix - stems["vocals"], **stems)


def separate(
    model: nn.Module,
    config: SeparatorConfig,
    song: Tensor,
    shift: int,
    device: torch.device | str,
    on_step: OnStep,
) -> Tensor:
    """The model's stems of one song at the model's rate.

    Args:
        model: HTDemucs on `device`.
        config: of the model.
        song: [2, T].
        shift: samples of SHIFT_SECONDS that are not heard before the song begins.
        device: where the model runs.
        on_step: called with (windows done, in all).

    Returns:
        [stems, 2, T] on the CPU.

    Raises:
        SoundError: the model made numbers that are no sound.
    """
    middle = song.mean(dim=0)
    mean, deviation = middle.mean(), middle.std().clamp(min=1e-8)  # silence stays silence
    padding = int(SHIFT_SECONDS * config.sample_rate) - shift  # of silence
    padded = pad((song - mean) / deviation, (padding, 0))
    length = padded.shape[-1]
    stems = torch.zeros(len(config.stems), 2, length)
    weights = torch.zeros(length)
    triangle = _triangle(config.window)
    spans = list(windows(length, config.window))
    for number, span in enumerate(spans):
        on_step(number, len(spans))
        around = _stretch(padded, span.model_start, config.window)
        piece = _model_stems(model, around[None].to(device))
        skip = span.start - span.model_start
        piece = piece[..., skip : skip + span.length]
        weight = triangle[: span.length]
        stems[..., span.start : span.start + span.length] += weight * piece
        weights[span.start : span.start + span.length] += weight
    on_step(len(spans), len(spans))
    return (stems / weights)[..., padding:] * deviation + mean


def _model_stems(model: nn.Module, sound: Tensor) -> Tensor:
    """The model's stems [stems, 2, T] of a window [1, 2, T], on the CPU."""
    try:
        stems: Tensor = model(sound)[0].float().cpu()
    except (
        AssertionError
    ) as error:  # the package holds padded numbers against themselves, and NaN is unequal
        raise SoundError(BROKEN) from error
    if not is_sound(stems):
        raise SoundError(BROKEN)
    return stems


def windows(length: int, window: int) -> Iterator[Window]:
    """Windows over a song; the last ones reach beyond its end and are heard around their middle."""
    for start in range(0, length, int((1 - OVERLAP) * window)):
        inside = min(window, length - start)
        yield Window(start, inside, start - (window - inside) // 2)


def _stretch(song: Tensor, start: int, length: int) -> Tensor:
    """Samples of a song from `start` on; silence where there is no song."""
    end = start + length
    inside = song[..., max(start, 0) : max(end, 0)]
    return pad(inside, (max(-start, 0), max(end - song.shape[-1], 0)))


def _triangle(window: int) -> Tensor:
    """Weights of a window's samples: those in its middle count most."""
    rise = torch.arange(1, window // 2 + 1)
    fall = torch.arange(window - window // 2, 0, -1)
    return torch.cat((rise, fall)) / (window - window // 2)
