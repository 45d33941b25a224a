"""Who makes the songs of a run: this process alone, or actors on a Ray cluster (`cluster`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import torch

from ..batch.saving import Planned
from ..memory import ran_out_of_ram, requested_bytes
from .job import Engine, SongOptions
from .make import FinishedSong, Order, SongMaker, Watch
from .models import Models

log = logging.getLogger(__name__)

Ordering = Callable[[Planned], Order]  # reads what a song's style comes from


class Failed(ValueError):
    """Why a song could not be made, in a sentence."""


class Backend(Protocol):
    """Makes songs in any order."""

    def songs(
        self, planned: Iterable[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, FinishedSong | Failed]]:
        """Each song, or why it could not be made."""


class LocalBackend:
    """Makes songs in this process."""

    def __init__(self, engine: Engine, options: SongOptions):
        """Load the models; raises ValueError or OSError: that cannot be done."""
        self._batch = options.batch
        try:
            self._maker = SongMaker(Models(engine), options)
        except (ValueError, OSError):
            raise
        except Exception as error:
            raise ValueError(f"The models cannot be loaded: {reason_of(error)}") from error

    def songs(
        self, planned: Iterable[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, FinishedSong | Failed]]:
        """See `Backend`."""
        for batch in batches(planned, self._batch):
            yield from self._make(batch, order, watch)

    def _make(
        self, batch: Sequence[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, FinishedSong | Failed]]:
        """Songs composed at once; where that fails, one by one: whatever went wrong, the next may do."""
        orders, unread = ordered(batch, order)
        yield from unread
        waiting = dict(enumerate(each for each, _ in orders))
        try:
            for place, outcome in self._maker.make([each for _, each in orders], watch):
                yield waiting.pop(place), failed_or(outcome)
        except Exception as error:
            if len(waiting) == 1 == len(batch):
                yield waiting.popitem()[1], Failed(reason_of(error))
        for each in waiting.values():
            yield from self._make([each], order, watch)


def batches(planned: Iterable[Planned], most: int) -> Iterator[list[Planned]]:
    """Songs in their order, so many at a time; the last batch may be smaller."""
    waiting = iter(planned)
    while batch := list(islice(waiting, most)):
        yield batch


def ordered(
    batch: Iterable[Planned], order: Ordering
) -> tuple[list[tuple[Planned, Order]], list[tuple[Planned, Failed]]]:
    """Songs with what they are made from, and those for which that cannot be read."""
    orders, unread = [], []
    for each in batch:
        try:
            orders.append((each, order(each)))
        except (ValueError, OSError) as error:
            unread.append((each, Failed(reason_of(error))))
    return orders, unread


def failed_or(outcome: FinishedSong | Exception) -> FinishedSong | Failed:
    """A song, or why it could not be made in a sentence."""
    return Failed(reason_of(outcome)) if isinstance(outcome, Exception) else outcome


def reason_of(error: Exception) -> str:
    """Why a song could not be made, in a sentence."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return "The card's memory ran out; use --low-memory, fewer --takes or --dtype int8."
    if ran_out_of_ram(error):
        requested = requested_bytes(error)
        more = f" ({requested / 1e6:,.0f} MB more were asked for)" if requested else ""
        return f"RAM ran out{more}; use fewer --takes, or less --max-seconds."
    log.debug("A song could not be made.", exc_info=error)
    lines = str(error).strip().splitlines()
    if isinstance(error, ValueError | OSError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason was given'}"
