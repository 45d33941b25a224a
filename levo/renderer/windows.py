"""A song of any length as windows of 40 s, each knowing the last 10 s of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Take:
    """What one song of a call is made from."""

    vocal: Tensor  # [B, T] codes, T >= 1, including those of a lead
    accompaniment: Tensor  # [B, T]
    noise: Noise


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
    """Latents of all windows of one song, [B, Windows.total, 64]; see `Take` and `render_takes`."""
    take = Take(vocal, accompaniment, noise)
    return render_takes(renderer, [take], steps, guidance, lead, on_step)[0]


def render_takes(
    renderer: Renderer,
    takes: Sequence[Take],
    steps: int,
    guidance: float,
    lead: Tensor | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> list[Tensor]:
    """Latents of all windows of songs of any lengths: windows of one number are made as one batch.

    Args:
        renderer: on the device of the codes (or streaming to it).
        takes: one or more songs; each comes out as it would alone.
        steps, guidance: of the solver.
        lead: known latents [1 or B, n, 64] of the first frames of every song (a style prompt).
        on_step: called with (solver steps done, in all).

    Returns:
        For each song [B, Windows.total, 64] float32 on the device of its codes; overlaps stand there once.
    """
    config, device = renderer.config, takes[0].vocal.device
    plans = [Windows.over(take.vocal.shape[1], config) for take in takes]
    made = [
        torch.zeros(take.vocal.shape[0], plan.total, config.latent, device=device)
        for take, plan in zip(takes, plans, strict=True)
    ]
    most = max(plan.count for plan in plans)
    for number in range(most):
        start, end = number * config.hop, number * config.hop + config.window
        going = [n for n, plan in enumerate(plans) if number < plan.count]
        known = torch.cat([made[n][:, start : start + config.overlap] for n in going])
        if number == 0:
            known = known[:, :0] if lead is None else lead.expand(len(known), -1, -1)
        latents = solve(
            renderer,
            _conditions([takes[n] for n in going], [plans[n] for n in going], start, end, renderer),
            torch.cat([takes[n].noise(number) for n in going]).to(device),
            renderer.normalise(known),
            steps,
            guidance,
            lambda done, total, before=number * steps: on_step(before + done, most * steps),
        )
        fresh = known.shape[1] if number else 0
        pieces = renderer.denormalise(latents)[:, fresh:].split([len(made[n]) for n in going])
        for n, piece in zip(going, pieces, strict=True):
            made[n][:, start + fresh : end] = piece
    return made


def _conditions(
    takes: list[Take], plans: list[Windows], start: int, end: int, renderer: Renderer
) -> Tensor:
    """Features of both tracks' codes of one window, all songs below each other."""
    both = zip(takes, plans, strict=True)
    vocal, accompaniment = zip(
        *((tile(t.vocal, p.total), tile(t.accompaniment, p.total)) for t, p in both), strict=True
    )
    return renderer.condition(*(torch.cat([c[:, start:end] for c in t]) for t in (vocal, accompaniment)))
