"""Models whose logits are written down, and what the composing loop is asked for in tests of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from levo.config import CODES, EMPTY, END, PROMPT_FRAMES, LelmConfig, Sampling
from levo.lelm.compose import Composition
from levo.lelm.conditions import Conditions
from levo.lelm.kv_cache import KVCache
from levo.lelm.model import Caches, Run

GREEDY = Sampling(temperature=0.0, repetition_window=0)
FRAMES, DELAYS = 6, (0, 2, 3)
WAYS = {
    "greedy": Sampling(temperature=0.0),
    "greedy, nothing discouraged": GREEDY,
    "top_k": Sampling(top_k=50),
    "all codes": Sampling(top_k=CODES + 1, temperature=1.3),
    "top_p": Sampling(top_p=0.9),
    "guidance off": Sampling(guidance=1.0),
    "long memory": Sampling(repetition_window=1_000),
}


def any_conditions(config: LelmConfig, banned: tuple[int, ...] = ()) -> Conditions:
    """Conditions that stand for any text; `banned` codes make up the style prompt of the mixed stream."""
    prompt = torch.full((2, 3, PROMPT_FRAMES + 1), EMPTY)
    if banned:
        prompt[0, 0, 0] = END
        prompt[0, 0, 1:] = torch.tensor(banned).repeat(PROMPT_FRAMES)[:PROMPT_FRAMES]
    lyric = torch.arange(2 * config.lyric_length).view(2, -1)
    style = torch.arange(2 * config.style_length).view(2, -1)
    return Conditions(lyric, torch.zeros_like(lyric), prompt, style, "", "")


def no_rotary(start: int, count: int) -> Tensor:
    return torch.zeros(count, 2, 2)


class Script:
    """A model whose logits are written down: `logits(step)` gives [3, CODES + 1] for both rows."""

    def __init__(self, logits: Callable[[int], Tensor], delays: tuple[int, ...] = DELAYS):
        self.config = SimpleNamespace(delays=delays, prefix_length=4, lyric_length=2, style_length=2)
        self.logits = logits
        self.inputs: list[Tensor] = []
        self.prefixes = 0
        self.stores: list[weakref.ref] = []

    def condition(self, conditions: Conditions) -> SimpleNamespace:
        return SimpleNamespace(stage1=torch.zeros(2, 4, 1))

    def caches(self, rows: int, capacity: int, like: Tensor) -> tuple[KVCache, KVCache]:
        caches = tuple(KVCache(1, rows, 1, capacity, 2, no_rotary) for _ in range(2))
        self.stores += [weakref.ref(cache.store) for cache in caches]
        return caches

    def __call__(self, codes: Tensor, caches: Caches, prefix: object = None, run: Run = Run()) -> Tensor:
        if prefix is not None:  # a song of a batch: all are at the same step
            self.prefixes += 1
            self.inputs.clear()
        self.inputs.extend(codes[0].unbind(1))
        positions = codes.shape[2] + (0 if prefix is None else self.config.prefix_length)
        for cache in caches:
            cache.begin(torch.zeros(len(codes), positions, 2))
            cache.extend(0, torch.zeros(2, len(codes), 1, positions, 2))
            cache.advance(positions)
        return self.logits(len(self.inputs)).expand(len(codes), -1, -1)


def song_script(ends: tuple[int | None, ...], delays: tuple[int, ...] = DELAYS) -> Script:
    """Stream k sings 100 k + frame, and END at frame ends[k]."""

    def logits(step: int) -> Tensor:
        out = torch.zeros(3, CODES + 1)
        for k, (end, shift) in enumerate(zip(ends, delays, strict=True)):
            frame = step - 1 - shift
            out[k, END if frame == end else 100 * k + max(frame, 0)] = 9.0
        return out

    return Script(logits, delays)


class Ends(Script):
    """A model whose takes end at frames of their own, in all streams."""

    def __init__(self, frames: tuple[int | None, ...]):
        super().__init__(lambda step: torch.zeros(3, CODES + 1))
        self.frames = frames

    def __call__(self, codes: Tensor, caches: Caches, prefix: object = None, run: Run = Run()) -> Tensor:
        super().__call__(codes, caches, prefix)
        scripts = [song_script((end,) * 3).logits(len(self.inputs)) for end in self.frames]
        rows = torch.stack(scripts)
        return rows[: 1 if prefix is not None else None].repeat(2, 1, 1)


def assert_same(one: Composition, other: Composition) -> None:
    assert torch.equal(one.codes, other.codes)
    assert torch.equal(one.raw, other.raw)
    assert (one.ended, one.steps) == (other.ended, other.steps)
