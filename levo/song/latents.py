"""Latents of a song, and what decoding needs to know of how they were made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import RendererConfig
from ..renderer.windows import Windows

TAIL = 16  # frames after the end that the decoder still hears
RELEASED_CONFIG = RendererConfig()  # whose windows latents have that say nothing of theirs


@dataclass(frozen=True)
class SongLatents:
    """Latents of one track of a song."""

    samples: Tensor  # [B, 64, T] float32 on the CPU
    tail: Tensor  # [B, 64, <= TAIL]: what came after the end
    prompt_frames: int = 0  # that stood before the start and were cut off: windows count from there
    window: int = RELEASED_CONFIG.window  # frames of a window of the renderer
    overlap: int = RELEASED_CONFIG.overlap  # frames that two windows share
    whole: bool = True  # False: what came after the end and where windows lie is not known

    @classmethod
    def cut(cls, latents: Tensor, frames: int, prompt_frames: int, config: RendererConfig) -> SongLatents:
        """Cut `frames` frames out of the [B, T, 64] latents of all windows, after those of the prompt."""
        latents = latents[:, prompt_frames:].transpose(1, 2).cpu()
        tail = latents[:, :, frames : frames + TAIL]
        return cls(latents[:, :, :frames], tail, prompt_frames, config.window, config.overlap)

    @property
    def size(self) -> tuple[int, int]:
        """Songs and frames."""
        return self.samples.shape[0], self.samples.shape[2]

    def rows(self) -> list[SongLatents]:
        """Each row of the batch."""
        rows = zip(self.samples.split(1), self.tail.split(1), strict=True)
        return [replace(self, samples=samples, tail=tail) for samples, tail in rows]

    def spans(self) -> list[tuple[int, int]]:
        """First and one past last frame of each window, of the frames that are there, tail included."""
        frames = self.samples.shape[2]
        windows = Windows(self.prompt_frames + frames, self.window, self.window - self.overlap)
        end = frames + self.tail.shape[2]
        shifted = [(a - self.prompt_frames, b - self.prompt_frames) for a, b in windows.spans()]
        return [(max(0, a), min(end, b)) for a, b in shifted]


@dataclass(frozen=True)
class StemDifference:
    """What decodes to the mix without the vocals, whose sounds are subtracted: rendering is not linear.

    As one LATENT, which can be saved, it has twice the channels: the mix's above the vocals'.
    """

    mix: SongLatents
    vocals: SongLatents

    @property
    def size(self) -> tuple[int, int]:
        """Songs and frames."""
        return self.mix.size

    @property
    def whole(self) -> bool:
        """As of `SongLatents`."""
        return self.mix.whole

    def to_latents(self) -> SongLatents:
        """Latents [B, 128, T] of both."""
        mix, vocals = self.mix, self.vocals
        samples = torch.cat((mix.samples, vocals.samples), dim=1)
        return replace(mix, samples=samples, tail=torch.cat((mix.tail, vocals.tail), dim=1))

    @classmethod
    def from_latents(cls, latents: SongLatents) -> StemDifference:
        """The inverse of `to_latents`."""
        samples, tails = (part.chunk(2, dim=1) for part in (latents.samples, latents.tail))
        halves = zip(samples, tails, strict=True)
        return cls(*(replace(latents, samples=half, tail=tail) for half, tail in halves))

    def is_of(self, mix: Track, vocals: Track) -> bool:
        """Whether it is the difference of these very latents."""
        pairs = ((self.mix, mix), (self.vocals, vocals))
        return all(
            isinstance(theirs, SongLatents) and torch.equal(ours.samples, theirs.samples)
            for ours, theirs in pairs
        )


Track = SongLatents | StemDifference
