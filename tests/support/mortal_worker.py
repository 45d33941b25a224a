"""A worker of the command's cluster whose songs are written down, and that some songs end or break."""

from __future__ import annotations

import os
from pathlib import Path

from levo.batch.saving import Planned
from levo.command.backend import Failed
from levo.command.job import Engine, SongOptions
from levo.command.make import MadeSong, Order
from support.written_songs import made


class MortalWorker:
    """Dies of the song `deadly`, stumbles over `odd`, and refuses `refused`."""

    def __init__(self, engine: Engine, options: SongOptions):
        pass

    def is_ready(self) -> bool:
        return True

    def make(self, order: Order) -> MadeSong | Failed:
        song = order.song
        if song.idx == "deadly":
            os._exit(1)
        if song.idx == "odd":
            raise RuntimeError("Something is odd.")
        if song.idx == "refused":
            return Failed("It is refused.")
        return made(Planned(song, Path(), song.idx, ()))
