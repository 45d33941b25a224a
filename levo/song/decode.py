"""Latents of a song to stereo sound."""

from __future__ import annotations

import torch
from torch import Tensor

from ..audio.waveform import crossfade_into
from ..config import SAMPLES_PER_FRAME
from ..progress import OnStep, ignore, part_of
from ..vae.chunks import decode_chunks
from ..vae.oobleck import Vae
from .latents import SongLatents


def decode_song(
    vae: Vae,
    latents: SongLatents,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    chunk: int | None = None,
    on_step: OnStep = ignore,
) -> Tensor:
    """Decode window by window and cross-fade the windows over their overlap.

    Args:
        vae: on `device` (or streaming to it).
        latents: of a song of any length.
        device, dtype: of the decoder.
        chunk: frames decoded at once; see `decode_chunks`.
        on_step: called with (frames decoded, in all).

    Returns:
        [B, 2, T * 1920] float32 on the CPU, not bounded.
    """
    frames, spans = latents.samples.shape[2], latents.spans()
    known = torch.cat((latents.samples, latents.tail), dim=2)
    total = sum(b - a for a, b in spans)
    song = torch.zeros(known.shape[0], vae.config.audio_channels, frames * SAMPLES_PER_FRAME)
    done = 0
    for number, (start, end) in enumerate(spans):
        window = known[:, :, start:end].to(device, dtype)
        piece = decode_chunks(vae, window, chunk, part_of(on_step, done, total)).float().cpu()
        fade = latents.overlap * SAMPLES_PER_FRAME if number else 0
        crossfade_into(song, piece, start * SAMPLES_PER_FRAME, fade)
        done += end - start
    return song
