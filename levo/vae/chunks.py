"""Latents of any length decoded in chunks that fit any card."""

from __future__ import annotations

from torch import Tensor

from ..audio.sound import SoundError, is_sound
from ..progress import OnStep, ignore
from .oobleck import Vae

BROKEN_VAE = "The VAE made numbers that are no sound; load it in fp32, or download its file again."


def decode_chunks(
    vae: Vae,
    latents: Tensor,
    chunk: int | None = None,
    on_step: OnStep = ignore,
) -> Tensor:
    """Decode [B, 64, T] in chunks, each cut in the middle of its overlap with the next.

    Args:
        vae: on the device of the latents (or streaming to it).
        latents: of any length.
        chunk: most frames at once, more than the overlap; None for the released number. The sound does not
            depend on it: the decoder hears less than half the overlap to each side.
        on_step: called with (frames decoded, in all).

    Returns:
        [B, 2, 1920 T] in the dtype and on the device of the latents.

    Raises:
        SoundError: the decoder made numbers that are no sound.
    """
    frames, overlap, ratio = latents.shape[2], vae.config.overlap, vae.config.ratio
    chunk = chunk or vae.config.chunk
    audio = latents.new_empty(latents.shape[0], vae.config.audio_channels, frames * ratio)
    starts = [*range(0, max(frames - chunk, 0), chunk - overlap), max(frames - chunk, 0)]
    for start in starts:
        skip = overlap // 2 if start else 0
        end = min(start + chunk, frames)
        piece = vae.decode(latents[:, :, start:end])
        audio[..., (start + skip) * ratio : end * ratio] = piece[..., skip * ratio :]
        on_step(end, frames)
    if not is_sound(audio):
        raise SoundError(BROKEN_VAE)
    return audio
