"""Begins songs of LeLM, which ask for nothing, and reads the clock between their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import torch
from bench.table import clock

from levo.config import CODES, EMPTY, LYRIC_ROWS, PROMPT_FRAMES, STRUCTURE_ROWS, STYLE_ROWS, LelmConfig
from levo.lelm.conditions import Conditions

# Begins a song, calling its argument after the prefill and after each step.
Begin = Callable[[Callable[[int, int], None]], object]


class Enough(Exception):
    """Stops a song once enough of it has been timed."""


def between(begin: Begin, marks: Sequence[int]) -> list[float]:
    """Begin a song, and give it up after the last mark.

    Args:
        begin: of the song.
        marks: steps, 0 for the prefill, in order; the clock is read after each, which waits for the device.

    Returns:
        Seconds until the first mark, and from each mark to the next.
    """
    times, step = [clock()], -1

    def on_step(done: int, total: int) -> None:
        nonlocal step
        step += 1
        if step in marks:
            times.append(clock())
        if step == marks[-1]:
            raise Enough

    with suppress(Enough):
        begin(on_step)
    return [b - a for a, b in zip(times, times[1:], strict=False)]


def random_conditions(config: LelmConfig) -> Conditions:
    """Ids of the right shapes that stand for no text, with a style prompt."""
    generator = torch.Generator().manual_seed(0)
    ids = partial(torch.randint, generator=generator)
    prompt = torch.full((2, 3, PROMPT_FRAMES + 1), EMPTY)
    prompt[0] = ids(CODES, prompt[0].shape)
    lyric, style = (2, config.lyric_length), (2, config.style_length)
    rows = STYLE_ROWS[config.version]
    return Conditions(ids(LYRIC_ROWS, lyric), ids(STRUCTURE_ROWS, lyric), prompt, ids(rows, style), "", "")
