"""Who makes the songs of a run: this process alone, or actors on a Ray cluster (`cluster`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import torch

from ..batch.saving import Planned
from ..memory import bytes_asked, ran_out_of_ram
from .job import Engine, SongOptions
from .make import MadeSong, Order, SongMaker, Watch
from .models import Models

log = logging.getLogger(__name__)

Ordering = Callable[[Planned], Order]  # reads what a song's style comes from


class Failed(ValueError):
    """Why a song could not be made, in a sentence."""


class Backend(Protocol):
    """Makes songs in any order."""

    def songs(
        self, planned: Iterable[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, MadeSong | Failed]]:
        """Each song, or why it could not be made."""


class LocalBackend:
    """Makes songs one by one in this process."""

    def __init__(self, engine: Engine, options: SongOptions):
        """Load the models; raises ValueError: that cannot be done."""
        self._maker = SongMaker(Models(engine), options)

    def songs(
        self, planned: Iterable[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, MadeSong | Failed]]:
        """See `Backend`."""
        for each in planned:
            try:
                yield each, self._maker.make(order(each), watch)
            except Exception as error:  # whatever went wrong, the next song may do
                yield each, Failed(reason_of(error))


def reason_of(error: Exception) -> str:
    """Why a song could not be made, in a sentence."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return "The card's memory ran out; use --low-memory, fewer --takes or --dtype int8."
    if ran_out_of_ram(error):
        asked = bytes_asked(error)
        more = f" ({asked / 1e6:,.0f} MB more were asked for)" if asked else ""
        return f"RAM ran out{more}; use fewer --takes, or less --max-seconds."
    log.debug("A song could not be made.", exc_info=error)
    lines = str(error).strip().splitlines()
    if isinstance(error, ValueError | OSError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason was given'}"
