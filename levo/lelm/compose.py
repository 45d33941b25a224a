"""The loop that composes songs: one position a step, three streams, until all of a batch have ended.

Knows codes and steps only; texts, seconds and devices belong to its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..config import CODES, EMPTY, Sampling
from ..progress import OnStep, ignore
from . import delay
from .conditions import Conditions
from .cuda_graph import Eager, Replay, Residency
from .kv_cache import FixedCache, capacity_for
from .model import LeLM, Run
from .takes import SongInput, TakeBatch, until_end

POLL_STEPS = 8  # steps between two looks at whether the takes are over; each waits for the device
AnyRun = TypeVar("AnyRun", bound="BatchRun")


@dataclass(frozen=True)
class Execution:
    """How steps are run on their device."""

    # Whether the weights are there: then steps are captured as CUDA graphs. None where that is not wanted.
    residency: Residency | None = None
    run: Run = Run()  # the blocks of a step that is not captured
    small_cache: bool = False  # keys and values are kept as bytes; see `levo.lelm.kv_cache.Int8Cache`


@dataclass(frozen=True)
class Composition:
    """A take of a song as codes."""

    codes: Tensor  # [1, 3, T] int64 on the CPU: mixed, vocal, accompaniment; cut at the first end
    raw: Tensor  # [1, 3, N]: before cutting; END where a stream ended, EMPTY after
    ended: bool  # by itself; otherwise the limit was hit
    steps: int  # that it took, those of kept frames included


class BatchRun:
    """Takes of songs under way, all in one batch: `while run.step(): ...`, then `run.result()`.

    A row of the batch has the conditions, limit, seed and end of its own song and take, and nothing of its
    neighbours. All go the same steps: a row that is over is computed on and left as it is, so that the
    shapes, by which kernels choose how they sum, stay those of the batch. A context manager: when it is
    left, what steps were captured in is given back.
    """

    def __init__(
        self,
        model: LeLM,
        songs: Sequence[SongInput],
        sampling: Sampling = Sampling(),
        device: torch.device | str = "cpu",
        run_out: bool = False,
        execution: Execution = Execution(),
    ):
        """Start with nothing composed.

        Args:
            model: on `device` (or streaming to it).
            songs: one or more; takes are numbered through all of them.
            sampling: only the mixed stream is drawn; the others always take the likeliest code.
            device: where the loop runs.
            run_out: go on until all streams have ended, as the published loop does, which tests compare. By
                default a take is over as soon as no later step can change it.
            execution: how steps are run.

        Raises:
            ValueError: the songs have prefixes of different lengths, or keep different numbers of frames.
        """
        if len({song.conditions.lengths for song in songs}) > 1:
            raise ValueError("Songs whose prefixes differ in length cannot be composed in one batch.")
        self._model, self._execution, self._delays = model, execution, model.config.delays
        self.frames = max(song.frames for song in songs)  # at most
        self._takes = TakeBatch(songs, self._delays, sampling, run_out, torch.device(device))
        self._waiting = list(songs)  # for their prefill
        self._first_logits: list[Tensor] = []  # of the others
        self._caches: tuple[FixedCache, ...] = ()
        self._advance: Eager | Replay | None = None
        self.done, self.total = 0, self._takes.steps  # steps; those of kept frames count as done

    def __enter__(self: AnyRun) -> AnyRun:
        return self

    def __exit__(self, *_: object) -> None:
        if self._advance is not None:
            self._advance.close()

    def step(self) -> bool:
        """Compose a step of all takes; at first run what is known of a song. False once no take goes on."""
        if self._advance is None:
            self._begin()
            return True
        since = self.done - self._takes.first
        if self.done == self.total or since % POLL_STEPS == 0 and max(self._over()) <= self.done:
            return False
        self.done += 1
        for cache in self._caches:
            cache.reach(self._model.config.prefix_length + self.done)
        self._advance(self._caches[0].span)
        return True

    @property
    def final_frames(self) -> int:
        """Frames that no later step changes."""
        return self._takes.final(self.done)

    def codes(self) -> list[Tensor]:
        """Codes [1, 3, T] on the CPU of each take's final frames, fewer where it has ended."""
        return self._takes.codes(self.final_frames)

    def result(self) -> list[Composition]:
        """A take for each seed of each song; `codes` has no frames where a stream ended at once."""
        rows = zip(self._takes.placed.cpu(), self._over(), self._takes.frames, strict=True)
        return [_finish(take, end, frames, self._delays) for take, end, frames in rows]

    def _over(self) -> list[int]:
        """For each take the last step that it needs."""
        return [min(end, limit) for end, limit in zip(self._takes.over(), self._takes.limits, strict=True)]

    def _begin(self) -> None:
        """Run what is known of one song; after the last one place the first sampled step of all takes."""
        self._first_logits.append(self._prefill(self._waiting.pop(0)))
        if self._waiting:
            return
        model, takes = self._model, self._takes
        takes.append_step(torch.cat(self._first_logits, dim=1).flatten(0, 1))
        self._first_logits.clear()
        self.done = takes.first
        decode = partial(_decode, model, takes, self._caches)
        self._advance = _stepper(decode, self._execution, takes.placed.device)

    def _prefill(self, song: SongInput) -> Tensor:
        """Run the prefix and all known steps of a song once for its takes: logits [2, takes, 3, CODES + 1].

        A song alone in a pass: that is what it would be without the others, and fills a card.
        """
        model, takes, copies = self._model, self._takes, len(song.seeds)
        first = sum(logits.shape[1] for logits in self._first_logits)
        prefix = model.condition(song.conditions.to(takes.placed.device))
        known, count = model.config.prefix_length + takes.first, len(takes.placed)
        capacity = capacity_for(model.config.prefix_length + takes.steps)
        small = self._execution.small_cache
        growing = model.caches(2, known if small or count > 1 else capacity, prefix.stage1)
        logits = model(takes.known(first), growing, prefix)
        if not self._caches:
            self._caches = tuple(cache.fixed(capacity, copies, small, count) for cache in growing)
        else:
            for fixed, cache in zip(self._caches, growing, strict=True):
                fixed.fill(cache.past, first, copies)
        return logits[:, None].expand(-1, copies, -1, -1)


class ComposeRun(BatchRun):
    """Takes of one song under way."""

    def __init__(
        self,
        model: LeLM,
        conditions: Conditions,
        frames: int,
        sampling: Sampling = Sampling(),
        seeds: Sequence[int] = (0,),
        device: torch.device | str = "cpu",
        run_out: bool = False,
        execution: Execution = Execution(),
        kept: Tensor | None = None,
    ):
        """Start with nothing composed; see `BatchRun`.

        Args:
            conditions: from `conditions.prepare`.
            frames: the limit of every stream, 25 a second.
            seeds: one a take; each decides every draw of its take.
            kept: codes [1, 3, K] of a song to go on from, K <= frames. Every take begins with them. A step
                draws what it draws in a song composed from its start: with the same conditions, sampling
                and seed the rest is the same song.
        """
        song = SongInput(conditions, frames, seeds, kept)
        super().__init__(model, [song], sampling, device, run_out, execution)


def compose(
    model: LeLM, conditions: Conditions, frames: int, *settings: Any, on_step: OnStep = ignore, **more: Any
) -> list[Composition]:
    """Compose takes of a song in one go; see `ComposeRun`, whose arguments these are.

    Args:
        model, conditions, frames, settings, more: of the run.
        on_step: called with (steps done, steps at most); may raise to stop.
    """
    with ComposeRun(model, conditions, frames, *settings, **more) as run:
        while run.step():
            on_step(run.done, run.total)
        return run.result()


def _decode(model: LeLM, takes: TakeBatch, caches: Sequence[FixedCache], run: Run) -> None:
    takes.append_step(model(takes.last(), caches, run=run))


def _stepper(decode: Callable[[Run], None], execution: Execution, device: torch.device) -> Eager | Replay:
    """What takes the steps of a run."""
    anywhere = partial(decode, execution.run)
    if execution.residency is None:
        return Eager(anywhere)
    return Replay(partial(decode, Run(execution.run.block)), execution.residency, anywhere, device)


def _finish(placed: Tensor, steps: int, frames: int, delays: Sequence[int]) -> Composition:
    placed[:, steps + 1 :] = EMPTY  # the batch went on for other takes
    raw = delay.undelay(placed, frames, delays)
    codes = until_end(raw)[None]
    if bool((codes >= CODES).any()):
        raise RuntimeError("LeLM left frames without a code; please report this with your workflow.")
    return Composition(codes, raw[None], ended=codes.shape[2] < raw.shape[1], steps=steps)
