"""The sound of a song that is still being made: it grows as latents become known."""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import SAMPLES_PER_FRAME
from ..progress import OnStep, ignore
from ..vae.chunks import decode_chunks
from ..vae.oobleck import Vae


class EarlySound:
    """Decodes a song piece by piece, for listening before it is whole.

    The sound is that of all latents decoded at once, except the last 16 frames, which need what comes after
    them. `levo.song.decode.decode_song` also cross-fades the ends of windows.
    """

    def __init__(self, vae: Vae, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32):
        """Start with no sound; `vae` is on `device`, its decoder in `dtype`."""
        self._vae, self._device, self._dtype = vae, device, dtype
        self._context = vae.config.overlap // 2  # frames to each side that a frame is heard with
        self._known = torch.zeros(1, vae.config.latent, 0)  # latents that the next piece is decoded with
        self._decoded = 0  # frames of them whose sound is there
        self.sound = torch.zeros(1, vae.config.audio_channels, 0)  # [1, 2, samples] float32 on the CPU

    def add(self, latents: Tensor, on_step: OnStep = ignore) -> None:
        """Decode the next latents [1, 64, T] of the song; `on_step` as in `decode_chunks`."""
        known, first = torch.cat((self._known, latents), dim=2), self._decoded
        last = max(known.shape[2] - self._context, first)
        kept = max(last - self._context, 0)
        if last > first:
            on_device = known.to(self._device, self._dtype)
            decoded = decode_chunks(self._vae, on_device, on_step=on_step).float().cpu()
            piece = decoded[..., first * SAMPLES_PER_FRAME : last * SAMPLES_PER_FRAME]
            self.sound = torch.cat((self.sound, piece), dim=2)
        self._known, self._decoded = known[:, :, kept:], last - kept
