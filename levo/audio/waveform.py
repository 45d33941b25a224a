"""Waveforms: sample rates changed, pieces joined without a seam."""

from __future__ import annotations

from math import ceil, gcd, pi

import torch
from torch import Tensor

ZEROS = 6  # zero crossings of the sinc to each side
ROLLOFF = 0.99  # of the lower of both Nyquist frequencies: where the filter cuts
BLOCK = 1 << 18  # samples made at a time


def resample(audio: Tensor, rate: int, new_rate: int) -> Tensor:
    """Change the sample rate by band-limited interpolation, a sinc under a Hann window.

    The same numbers as `torchaudio.transforms.Resample` with its defaults, for rates that have no large
    common divisor too. Method: J. O. Smith, "Digital Audio Resampling", ccrma.stanford.edu/~jos/resample.

    Args:
        audio: [..., samples] float.
        rate: of `audio`.
        new_rate: the new rate; both in whole hertz.

    Returns:
        [..., ceil(samples * new_rate / rate)] in the dtype and on the device of `audio`.
    """
    common = gcd(rate, new_rate)
    into, out = rate // common, new_rate // common
    if into == out:
        return audio
    table, width = _sinc_table(into, out)
    table = table.to(audio)
    count = ceil(audio.shape[-1] * out / into)
    padded = torch.nn.functional.pad(audio, (width, width + into // out + 1))
    pieces = []
    for start in range(0, count, BLOCK):
        number = torch.arange(start, min(start + BLOCK, count), device=audio.device)
        first = number * into // out  # sample at or before the moment, which the padding moved by `width`
        block = torch.zeros(*audio.shape[:-1], len(number), dtype=audio.dtype, device=audio.device)
        for tap, weights in enumerate(table.t()):
            block.addcmul_(padded[..., first + tap], weights[number % out])
        pieces.append(block)
    return torch.cat(pieces, dim=-1)


def _sinc_table(into: int, out: int) -> tuple[Tensor, int]:
    """Weights [out, taps] float64 of the samples around each moment, and how many samples lie before it.

    Moments repeat after `out` samples of the new rate, which take as long as `into` of the old.
    """
    cut = min(into, out) * ROLLOFF / into  # in half cycles a sample
    width = ceil(ZEROS / cut)
    offsets = torch.arange(-width, width + 2, dtype=torch.float64)
    moments = torch.arange(out, dtype=torch.int64) * into % out
    distance = (offsets - moments[:, None].double() / out) * cut
    window = torch.cos(distance.clamp(-ZEROS, ZEROS) * pi / ZEROS / 2).square()
    return torch.sinc(distance) * window * cut, width


def crossfade_into(song: Tensor, piece: Tensor, start: int, overlap: int) -> None:
    """Write a piece into a song in place, fading linearly from what stands there already.

    Args:
        song: [B, channels, samples].
        piece: [B, channels, n]; samples beyond the song's end are dropped.
        start: sample of the song where the piece begins.
        overlap: samples over which the piece fades in; 0 overwrites.
    """
    piece = piece[..., : song.shape[-1] - start]
    overlap = min(overlap, piece.shape[-1])
    target = song[..., start : start + piece.shape[-1]]
    rise = torch.linspace(0, 1, overlap, device=song.device, dtype=song.dtype)
    target[..., :overlap] = target[..., :overlap] * (1 - rise) + piece[..., :overlap] * rise
    target[..., overlap:] = piece[..., overlap:]
