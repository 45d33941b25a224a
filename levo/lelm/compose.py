"""The loop that composes a song: one position a step, three streams, until the song ends.

Knows codes and steps only; texts, seconds and devices belong to its callers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import CODES, EMPTY, END, Sampling
from . import delay
from .conditions import Conditions
from .model import LeLM
from .sampling import discourage, draw, guide

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Composition:
    """A song as codes."""

    codes: Tensor  # [1, 3, T] int64 on the CPU: mixed, vocal, accompaniment; cut at the first end
    raw: Tensor  # [1, 3, N]: before cutting; END where a stream ended, EMPTY after
    ended: bool  # by itself; otherwise the limit was hit
    steps: int  # forward calls made


class _Song:
    """Streams under way: what was placed at each step and which streams have ended."""

    def __init__(self, frames: int, delays: tuple[int, ...], device: torch.device):
        self.steps = delay.steps_for(frames, delays)
        self.placed = torch.full((len(delays), self.steps + 1), EMPTY, device=device)
        self.active = delay.active(frames, delays).to(device)
        self.ended = torch.zeros(len(delays), dtype=torch.bool, device=device)
        self.delays = delays

    def place(self, step: int, codes: Tensor) -> None:
        """Record sampled [3] codes, EMPTY for streams that have not started or are over."""
        codes = torch.where(self.active[:, step] & ~self.ended, codes, EMPTY)
        self.placed[:, step] = codes
        self.ended |= codes == END

    def over(self, step: int, run_out: bool) -> bool:
        """Whether the loop may stop after `step`; the one look that a step takes at the device.

        All streams have ended, or (without `run_out`) one has, and all are complete up to there.
        """
        ended = self.ended.tolist()
        if all(ended) or run_out or not any(ended):
            return all(ended)
        ends = (self.placed[:, : step + 1] == END).int()
        frames = [int(row.argmax()) - 1 - d for row, d in zip(ends, self.delays, strict=True) if row.any()]
        return step - max(self.delays) >= min(frames)


def _next_codes(
    logits: Tensor, song: _Song, step: int, banned: Tensor, chance: Tensor, how: Sampling
) -> Tensor:
    """Sample [3] codes from [2, 3, CODES + 1] logits."""
    logits = guide(logits, how.guidance)
    if how.repetition_window:
        logits = discourage(
            logits, song.placed[:, max(1, step - how.repetition_window) : step], how.repetition_divisor
        )
    logits[0, banned] = -torch.inf
    mixed = draw(logits[0], chance, how.temperature, how.top_k, how.top_p)
    return torch.stack((mixed, *logits[1:].argmax(-1)))


def compose(
    model: LeLM,
    conditions: Conditions,
    frames: int,
    sampling: Sampling = Sampling(),
    seed: int = 0,
    device: torch.device | str = "cpu",
    run_out: bool = False,
    on_step: OnStep = lambda done, total: None,
) -> Composition:
    """Compose up to `frames` frames of every stream.

    Args:
        model: on `device` (or streaming to it).
        conditions: from `conditions.prepare`.
        frames: the limit, 25 a second.
        sampling: only the mixed stream is drawn; vocal and accompaniment always take the likeliest code.
        seed: decides every draw.
        device: where the loop runs.
        run_out: go on until all streams have ended, as the published loop does. By default the loop stops
            as soon as no later step can change the song.
        on_step: called with (steps done, steps at most); may raise to stop.

    Returns:
        The song; `codes` has no frames when a stream ends at once.
    """
    generator = torch.Generator().manual_seed(seed)
    device = torch.device(device)
    song = _Song(frames, model.config.delays, device)
    chances = torch.rand(song.steps + 1, generator=generator).to(device)
    banned = conditions.prompt_codes.to(device)
    prefix = model.condition(conditions.to(device))
    caches = model.caches(2, model.config.prefix_length + song.steps, prefix.stage1)
    for step in range(1, song.steps + 1):
        inputs = song.placed[:, step - 1 : step].expand(2, -1, -1)
        logits = model(inputs, caches, prefix if step == 1 else None).float()
        song.place(step, _next_codes(logits, song, step, banned, chances[step], sampling))
        on_step(step, song.steps)
        if song.over(step, run_out):
            break
    return _finish(delay.undelay(song.placed.cpu(), frames, model.config.delays), step)


def _finish(raw: Tensor, steps: int) -> Composition:
    ends = (raw == END).any(0).nonzero()
    length = int(ends[0]) if len(ends) else raw.shape[1]
    codes = raw[None, :, :length]
    if bool((codes >= CODES).any()):
        raise RuntimeError("LeLM left frames without a code; please report this with your workflow.")
    return Composition(codes, raw[None], ended=len(ends) > 0, steps=steps)
