"""A backend whose songs are written down: what the command saves and records, without a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch

from levo.batch.saving import Planned
from levo.command.backend import Failed, Ordering
from levo.command.job import Engine, SongOptions
from levo.command.make import FinishedSong, Take, Watch
from levo.command.run import Place, run
from levo.config import Sampling
from levo.song.tokens import Composer, SongRequest, SongTokens

LINE = '{{"idx": "{idx}", "gt_lyric": "[verse] {words}", "descriptions": "pop"}}\n'


def write_song_list(folder: Path, *names: str, words: str = "Hello there") -> Path:
    """A list of songs."""
    path = folder / "songs.jsonl"
    path.write_text("".join(LINE.format(idx=name, words=words) for name in names), "utf-8")
    return path


def finished_song(
    planned: Planned, takes: int = 1, tracks: Sequence[str] = ("mix",), text: str = ""
) -> FinishedSong:
    """A song whose files hold its idx, the take's number, the track and a text."""
    song = planned.song
    request = SongRequest(song.lyrics, song.description, False)
    composer = Composer("tiny", "v2", "0" * 64)
    numbers = tuple(range(takes))
    codes = torch.zeros(takes, 3, 25, dtype=torch.int64)
    tokens = SongTokens(codes, (25,) * takes, numbers, (True,) * takes, request, Sampling(), composer)
    files = [{track: f"{song.idx} {n} {track} {text}".encode() for track in tracks} for n in numbers]
    return FinishedSong(tokens, tuple(Take(1.0, each) for each in files), (), {"vae": "tiny"})


class ScriptedBackend:
    """Makes songs as `finished_song` does, but those that shall fail; remembers which were requested."""

    def __init__(
        self, failing: Sequence[str] = (), takes: int = 1, tracks: Sequence[str] = ("mix",), text: str = ""
    ):
        self.failing, self.takes, self.tracks, self.text = failing, takes, tracks, text
        self.engine: Engine | None = None
        self.requested: list[str] = []

    def __call__(self, engine: Engine, options: SongOptions) -> ScriptedBackend:
        self.engine = engine
        return self

    def songs(
        self, planned: Iterable[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, FinishedSong | Failed]]:
        for each in planned:
            self.requested.append(order(each).song.idx)
            failed = each.song.idx in self.failing
            yield (
                each,
                Failed("It failed.") if failed else finished_song(each, self.takes, self.tracks, self.text),
            )


def run_with(
    backend: ScriptedBackend,
    songs: Path,
    out: Path,
    options: SongOptions = SongOptions(),
    engine: Engine = Engine(),
    **how: object,
) -> int:
    """Run the command's list with a backend; gives the exit status."""
    place = Place(songs, out, songs.parent, quiet=True, **how)
    return run(place, engine, options, backend)
