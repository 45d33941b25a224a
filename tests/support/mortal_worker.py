"""A worker of the command's cluster whose songs are written down, and that some songs end or break."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from levo.batch.saving import Planned
from levo.batch.song_list import Song
from levo.command.backend import Failed
from levo.command.job import Engine, SongOptions
from levo.command.make import FinishedSong, Order
from support.written_songs import finished_song


class MortalWorker:
    """Dies of the song `deadly`, stumbles over `odd`, and refuses `refused`."""

    def __init__(self, engine: Engine, options: SongOptions):
        pass

    def refusal(self) -> str:
        return ""

    def make(self, orders: Sequence[Order]) -> list[FinishedSong | Failed]:
        return [self._made(order.song) for order in orders]

    def _made(self, song: Song) -> FinishedSong | Failed:
        if song.idx == "deadly":
            os._exit(1)
        if song.idx == "odd":
            raise RuntimeError("Something is odd.")
        if song.idx == "refused":
            return Failed("It is refused.")
        return finished_song(Planned(song, Path(), song.idx, ()))
