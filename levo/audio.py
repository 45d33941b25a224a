"""Waveforms: pieces joined without a seam."""

from __future__ import annotations

import torch
from torch import Tensor


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
