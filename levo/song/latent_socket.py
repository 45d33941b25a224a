"""LATENT, as ComfyUI hands it on and saves it: to the latents of a song and back.

Core's Save Latent keeps of a LATENT what `samples.contiguous()` gives, and Load Latent makes `samples` of
that. So the samples that we give answer this call with all that decoding needs behind them: a frame of
marks, which says how the song was cut into windows, and the frames that came after its end. To everything
else they are a tensor [B, 64, frames]. The marks are numbers as latents have them: who decodes them with
other nodes hears a frame of noise and 0.6 s more of the song.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..audio.sound import FLOATS, is_sound
from ..config import described
from .latents import TAIL, SongLatents, StemDifference, Track

CONTEXT = "levo"  # key of a LATENT that holds what decoding needs beside the samples
MARK = torch.tensor([-701, 1023, 5, -333, 889, -90, 611, -1017, 250, -466]) / 1024  # no latents are like it
UNIT = (
    4_096  # of the numbers behind it, which so are small too: format, frames, tail, prompt, window, overlap
)
CHANNELS = len(MARK) + 6
FORMAT = 1
MOST = 1 << 20  # frames; more has no song


class Samples(Tensor):
    """The samples of a song's latents, which core's Save Latent writes with what belongs to them."""

    # What is computed of them is a plain tensor.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    _latents: SongLatents

    @classmethod
    def of(cls, latents: SongLatents) -> Samples:
        """The samples of latents."""
        samples = latents.samples.as_subclass(cls)
        samples._latents = latents
        return samples

    def __deepcopy__(self, memo: dict[int, Any]) -> Samples:
        return Samples.of(deepcopy(self._latents, memo))

    def contiguous(self, *_: Any, **__: Any) -> Tensor:
        """What is to be saved: [B, C, frames + 1 + tail]."""
        return saved_form(self._latents)


def saved_form(latents: SongLatents) -> Tensor:
    """Latents as one plain tensor [B, C, frames + 1 + tail] that `from_saved_form` understands."""
    samples, tail = latents.samples, latents.tail
    if samples.shape[1] < CHANNELS:  # of no released model
        return samples.as_subclass(Tensor)
    numbers = (
        FORMAT,
        samples.shape[2],
        tail.shape[2],
        latents.prompt_frames,
        latents.window,
        latents.overlap,
    )
    marks = samples.new_zeros(*samples.shape[:2], 1)
    marks[:, : len(MARK), 0] = MARK
    marks[:, len(MARK) : CHANNELS, 0] = torch.tensor(numbers) / UNIT
    return torch.cat((samples, marks, tail), dim=2)


def from_saved_form(samples: Tensor) -> SongLatents:
    """The inverse of `saved_form`; of latents that were changed or say nothing, what is left.

    Args:
        samples: [B, C, T] float32.
    """
    if samples.shape[1] < CHANNELS:
        return SongLatents(samples, samples[:, :, :0], whole=False)
    marked = (samples[:, : len(MARK)] == MARK[:, None]).all(1).all(0)
    kept, whole = ~marked, None
    for at in marked.nonzero()[:, 0].tolist():
        numbers = (samples[0, len(MARK) : CHANNELS, at] * UNIT).long().tolist()
        kept[at : at + 1 + min(max(numbers[2], 0), TAIL)] = False
        whole = _whole(samples, at, numbers)
    if whole is not None and marked.sum() == 1:
        return whole
    remaining = samples[:, :, kept]
    return SongLatents(remaining, remaining[:, :, :0], whole=False)


def _whole(samples: Tensor, at: int, numbers: list[int]) -> SongLatents | None:
    """Latents with marks at a frame; None if those do not fit."""
    form, frames, tail, prompt, window, overlap = numbers
    fits = form == FORMAT and frames == at >= 1 and samples.shape[2] == at + 1 + tail
    if not (fits and 0 <= tail <= TAIL and 0 <= prompt <= MOST and 0 < overlap < window <= MOST):
        return None
    return SongLatents(samples[:, :, :at], samples[:, :, at + 1 :], prompt, window, overlap)


def latent_of(track: Track) -> dict[str, Any]:
    """A LATENT of a track's latents; core's nodes see the samples alone."""
    latents = track if isinstance(track, SongLatents) else track.to_latents()
    return {"samples": Samples.of(latents), "type": "audio", CONTEXT: latents}


def track_of(latent: object, channels: int, node: str) -> Track:
    """What decoding needs of a LATENT, whether it comes from Render as it is or was cut, saved or loaded.

    Args:
        latent: whatever stands on the socket. Its samples are [batch, channels, frames], or of twice the
            channels: a `StemDifference`.
        channels: of the VAE.
        node: whose input it is, for the message.

    Raises:
        ValueError: not the latents of a song.
    """
    samples = _samples(latent, channels, node)
    context = latent.get(CONTEXT)  # type: ignore[attr-defined]  # a mapping, as its samples were found
    if isinstance(context, SongLatents) and context.samples.shape == samples.shape:
        latents = replace(context, samples=samples)
    else:
        latents = from_saved_form(samples)
    if not latents.samples.shape[2]:
        raise ValueError(f"{node} was given latents without a frame; connect those of a whole song.")
    if not (is_sound(latents.samples) and is_sound(latents.tail)):
        raise ValueError(
            f"{node} was given latents with numbers that are none (NaN or infinite); render the song "
            "again, with the renderer in fp32."
        )
    return latents if samples.shape[1] == channels else StemDifference.from_latents(latents)


def _samples(latent: object, channels: int, node: str) -> Tensor:
    """The samples of a LATENT, [batch, channels or twice as many, frames] float32 on the CPU."""
    samples = latent.get("samples") if isinstance(latent, Mapping) else None
    if not isinstance(samples, Tensor):
        what = described(latent if samples is None else samples)
        raise ValueError(f"{node} needs latents, and what it was given is {what}; connect LeVo Render.")
    if samples.ndim != 3 or samples.shape[1] not in (channels, 2 * channels) or not samples.numel():
        raise ValueError(
            f"{node} was given latents of shape {list(samples.shape)}; it needs a song's, "
            f"[batch, {channels}, frames], from LeVo Render."
        )
    plain = samples.layout == torch.strided and not samples.is_nested and not samples.is_meta
    if not plain or samples.dtype not in FLOATS:
        kind = str(samples.dtype if plain else samples.layout).removeprefix("torch.")
        raise ValueError(f"{node} was given {kind} latents; it needs a plain tensor of floats.")
    return samples.detach().float().cpu()
