"""A song of any length as windows of 40 s, each knowing the last 10 s of the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from ..config import RendererConfig
from .model import Renderer
from .solver import solve

Noise = Callable[[int], Tensor]  # window number -> [B, window, 64] float32


@dataclass(frozen=True)
class Windows:
    """Where the windows of `frames` frames lie."""

    frames: int
    window: int
    hop: int

    @classmethod
    def over(cls, frames: int, config: RendererConfig) -> Windows:
        return cls(frames, config.window, config.hop)

    @property
    def count(self) -> int:
        return 1 + max(0, ceil((self.frames - self.window) / self.hop))

    @property
    def total(self) -> int:
        """Frames that the windows cover: `frames` or more."""
        return self.window + self.hop * (self.count - 1)

    def spans(self) -> list[tuple[int, int]]:
        """First and one past last frame of each window."""
        return [(n * self.hop, n * self.hop + self.window) for n in range(self.count)]


def tile(codes: Tensor, length: int) -> Tensor:
    """Repeat [..., T] codes from their start until there are `length`."""
    repeats = ceil(length / codes.shape[-1])
    return codes.repeat(*(1 for _ in codes.shape[:-1]), repeats)[..., :length]


def render(
    renderer: Renderer,
    vocal: Tensor,
    accompaniment: Tensor,
    noise: Noise,
    steps: int,
    guidance: float,
    lead: Tensor | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Latents of all windows.

    Args:
        renderer: on the device of the codes (or streaming to it).
        vocal, accompaniment: [B, T] codes of both tracks, T >= 1, including those of `lead`.
        noise: fresh noise for a window.
        steps, guidance: of the solver.
        lead: known latents [B, n, 64] of the first frames (a style prompt).
        on_step: called with (solver steps done, in all).

    Returns:
        [B, Windows.total, 64] float32 latents on the device of the codes; overlaps stand there once.
    """
    windows = Windows.over(vocal.shape[1], renderer.config)
    vocal, accompaniment = tile(vocal, windows.total), tile(accompaniment, windows.total)
    latents = torch.zeros(vocal.shape[0], windows.total, renderer.config.latent, device=vocal.device)
    known = lead if lead is not None else latents[:, :0]
    for number, (start, end) in enumerate(windows.spans()):
        made = solve(
            renderer,
            renderer.condition(vocal[:, start:end], accompaniment[:, start:end]),
            noise(number).to(vocal.device),
            renderer.normalise(known),
            steps,
            guidance,
            lambda done, total, before=number * steps: on_step(before + done, windows.count * steps),
        )
        fresh = known.shape[1] if number else 0
        latents[:, start + fresh : end] = renderer.denormalise(made)[:, fresh:]
        known = latents[:, end - renderer.config.overlap : end]
    return latents
