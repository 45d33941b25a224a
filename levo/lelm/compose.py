"""The loop that composes a song: one position a step, three streams, until the song ends.

Knows codes and steps only; texts, seconds and devices belong to its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..config import CODES, EMPTY, Sampling
from . import delay
from .conditions import Conditions
from .cuda_graph import Eager, Replay, Residency
from .kv_cache import FixedCache, capacity_for
from .model import LeLM, Run
from .takes import NEVER, Takes, until_end

OnStep = Callable[[int, int], None]
OnFrames = Callable[[int, Callable[[], list[Tensor]]], None]
LOOK = 8  # steps between two looks at whether the takes are over; each waits for the device


@dataclass(frozen=True)
class Execution:
    """How steps are run on their device."""

    # Whether the weights are there: then steps are captured as CUDA graphs. None where that is not wanted.
    residency: Residency | None = None
    run: Run = Run()  # the blocks of a step that is not captured


@dataclass(frozen=True)
class Composition:
    """A take of a song as codes."""

    codes: Tensor  # [1, 3, T] int64 on the CPU: mixed, vocal, accompaniment; cut at the first end
    raw: Tensor  # [1, 3, N]: before cutting; END where a stream ended, EMPTY after
    ended: bool  # by itself; otherwise the limit was hit
    steps: int  # that it took, those of kept frames included


def compose(
    model: LeLM,
    conditions: Conditions,
    frames: int,
    sampling: Sampling = Sampling(),
    seeds: Sequence[int] = (0,),
    device: torch.device | str = "cpu",
    run_out: bool = False,
    execution: Execution = Execution(),
    kept: Tensor | None = None,
    on_step: OnStep = lambda done, total: None,
    on_frames: OnFrames = lambda frames, codes: None,
) -> list[Composition]:
    """Compose takes of up to `frames` frames of every stream, all in one batch.

    Args:
        model: on `device` (or streaming to it).
        conditions: from `conditions.prepare`.
        frames: the limit, 25 a second.
        sampling: only the mixed stream is drawn; vocal and accompaniment always take the likeliest code.
        seeds: one a take; each decides every draw of its take.
        device: where the loop runs.
        run_out: go on until all streams have ended, as the published loop does. By default a take is over
            as soon as no later step can change it.
        execution: how steps are run.
        kept: codes [1, 3, K] of a song to go on from, K <= frames. Every take begins with them. A step
            draws what it draws in a song composed from its start: with the same conditions, sampling and
            seed the rest is the same song.
        on_step: called with (steps done, steps at most); may raise to stop.
        on_frames: called after a step with the number of frames that no later step changes, and with what
            gives their codes: [1, 3, T] of each take on the CPU, fewer frames where a take has ended.

    Returns:
        A take for each seed; `codes` has no frames when a stream ends at once.
    """
    device, delays = torch.device(device), model.config.delays
    begun = None if kept is None else kept[0]
    takes = Takes(frames, delays, seeds, conditions.prompt_codes, sampling, run_out, device, begun)
    logits, caches = _prefill(model, conditions.to(device), takes, len(seeds))
    takes.place(logits)
    on_step(takes.first, takes.steps)
    on_frames(takes.final(takes.first), partial(takes.codes, takes.final(takes.first)))

    def decode(run: Run) -> None:
        takes.place(model(takes.last(), caches, run=run))

    start = model.config.prefix_length
    with closing(_stepper(decode, execution)) as advance:
        for step in range(takes.first + 1, takes.steps + 1):
            if (step - takes.first) % LOOK == 1 and max(takes.over()) < NEVER:
                break
            for cache in caches:
                cache.reach(start + step)
            advance(caches[0].span)
            on_step(step, takes.steps)
            on_frames(takes.final(step), partial(takes.codes, takes.final(step)))
    over = [min(end, takes.steps) for end in takes.over()]
    placed = takes.placed.cpu()
    return [_finish(take, end, frames, delays) for take, end in zip(placed, over, strict=True)]


def _stepper(decode: Callable[[Run], None], execution: Execution) -> Eager | Replay:
    """What takes the steps of a run."""
    anywhere = partial(decode, execution.run)
    if execution.residency is None:
        return Eager(anywhere)
    return Replay(partial(decode, Run(execution.run.block)), execution.residency, anywhere)


def _prefill(
    model: LeLM, conditions: Conditions, takes: Takes, count: int
) -> tuple[Tensor, tuple[FixedCache, FixedCache]]:
    """Run the prefix and all known steps once for all takes; gives logits of their first sampled step."""
    prefix = model.condition(conditions)
    length = model.config.prefix_length
    capacity = capacity_for(length + takes.steps)
    growing = model.caches(2, capacity if count == 1 else length + takes.first, prefix.stage1)
    logits = model(takes.known(), growing, prefix)
    first, second = (cache.fixed(capacity, count) for cache in growing)
    return logits.repeat_interleave(count, dim=0), (first, second)


def _finish(placed: Tensor, steps: int, frames: int, delays: Sequence[int]) -> Composition:
    placed[:, steps + 1 :] = EMPTY  # the batch went on for other takes
    raw = delay.undelay(placed, frames, delays)
    codes = until_end(raw)[None]
    if bool((codes >= CODES).any()):
        raise RuntimeError("LeLM left frames without a code; please report this with your workflow.")
    return Composition(codes, raw[None], ended=codes.shape[2] < raw.shape[1], steps=steps)
