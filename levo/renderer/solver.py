"""From noise to the latents of one window: Euler steps with guidance and known frames."""

from __future__ import annotations

import torch
from torch import Tensor

from ..progress import OnStep, ignore
from .model import KNOWN, TO_MAKE, Renderer

SIGMA_MIN = 1e-4  # of conditional flow matching


def solve(
    renderer: Renderer,
    condition: Tensor,
    noise: Tensor,
    known: Tensor,
    steps: int,
    guidance: float,
    on_step: OnStep = ignore,
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
    fixed, channels, guided = known.shape[1], noise.shape[2], guidance != 1
    batch = _known_input(renderer, condition, known, 2 if guided else 1)
    noisy = batch[..., -channels:]  # all that changes from step to step
    rows = batch.flatten(0, 1)
    times = torch.arange(steps, device=noise.device, dtype=torch.float32) / steps
    schedule = renderer.flow.schedule(times, noise.shape[1])
    x = noise.clone()
    for step in range(steps):
        if fixed:
            time = step / steps
            x[:, :fixed] = (1 - (1 - SIGMA_MIN) * time) * noise[:, :fixed] + time * known
        noisy.copy_(x)
        velocity = renderer.flow.step(rows, schedule, slice(step, step + 1))[..., -channels:].float()
        if guided:
            conditional, null = velocity.chunk(2)
            velocity = torch.lerp(null, conditional, guidance)
        x.add_(velocity, alpha=1 / steps)
        on_step(step + 1, steps)
    x[:, :fixed] = known
    return x


def _known_input(renderer: Renderer, condition: Tensor, known: Tensor, rows: int) -> Tensor:
    """What the flow is given beside the noisy latents, which stay empty: [rows, B, T, width] float32.

    The second row knows everything but the codes.
    """
    batch, frames, codes = condition.shape
    fixed, channels = known.shape[1:]
    mask = torch.full((batch, frames), TO_MAKE, device=condition.device)
    mask[:, :fixed] = KNOWN
    marks = renderer.mask(mask)
    width = renderer.config.width
    known_input = condition.new_zeros(rows, batch, frames, width, dtype=torch.float32)
    context, at = marks.shape[2], marks.shape[2] + channels
    known_input[..., :context] = marks
    known_input[:, :, :fixed, context:at] = known
    known_input[0, ..., at : at + codes] = condition
    return known_input
