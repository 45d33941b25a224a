"""From noise to the latents of one window: Euler steps with guidance and known frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .model import KNOWN, TO_MAKE, Renderer

SIGMA_MIN = 1e-4  # of conditional flow matching


def solve(
    renderer: Renderer,
    condition: Tensor,
    noise: Tensor,
    known: Tensor,
    steps: int,
    guidance: float,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Make one window.

    Args:
        renderer: the velocity field and its tables.
        condition: [B, T, 2 * condition width] from `Renderer.condition`.
        noise: [B, T, 64] float32.
        known: [B, n, 64] normalised latents of the first n frames, n >= 0; they come out unchanged.
        steps: equal Euler steps from noise to latents.
        guidance: 1 runs the conditional row alone.
        on_step: called with (steps done, steps); may raise to stop.

    Returns:
        [B, T, 64] normalised latents, float32.
    """
    fixed = known.shape[1]
    context = torch.zeros_like(noise)
    context[:, :fixed] = known
    mask = torch.full(noise.shape[:2], TO_MAKE, device=noise.device)
    mask[:, :fixed] = KNOWN
    rows = [condition, torch.zeros_like(condition)] if guidance != 1 else [condition]
    marks = renderer.mask(mask)
    x = noise.clone()
    for step in range(steps):
        time = step / steps
        x[:, :fixed] = (1 - (1 - SIGMA_MIN) * time) * noise[:, :fixed] + time * known
        frames = [torch.cat([p.to(marks.dtype) for p in (marks, context, row, x)], dim=-1) for row in rows]
        batch = torch.cat(frames)
        moment = torch.full((batch.shape[0],), time, device=x.device)
        velocity = renderer.flow(batch, moment)[..., -x.shape[-1] :].float()
        if guidance != 1:
            conditional, null = velocity.chunk(2)
            velocity = null + guidance * (conditional - null)
        x = x + velocity / steps
        on_step(step + 1, steps)
    x[:, :fixed] = known
    return x
