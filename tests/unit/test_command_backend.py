"""Who makes songs: batches of a list, and what becomes of the others where one of them breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.listed_songs import song
from support.written_songs import finished_song

from levo.batch.saving import Planned
from levo.command import backend
from levo.command.backend import Failed, LocalBackend
from levo.command.job import Engine, SongOptions
from levo.command.make import FinishedSong, Order, unwatched


class Maker:
    """In place of `SongMaker`: a song that is called bad breaks whatever it is composed with."""

    def __init__(self, *_: object):
        self.batches: list[list[str]] = []

    def make(
        self, orders: Sequence[Order], watch: object
    ) -> Iterator[tuple[int, FinishedSong | Exception]]:
        names = [order.song.idx for order in orders]
        self.batches.append(names)
        if "bad" in names:
            raise RuntimeError("It broke.")
        for place in reversed(range(len(orders))):
            refused = names[place] == "refused"
            yield place, ValueError("No.") if refused else finished_song(planned(names[place]))


def planned(name: str) -> Planned:
    return Planned(song(name, "la"), Path(), name, ())


def order(each: Planned) -> Order:
    if each.song.idx == "unread":
        raise OSError("Its clip is gone.")
    return Order(each.song)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backend, "SongMaker", Maker)
    monkeypatch.setattr(backend, "Models", lambda engine: None)

    def songs(batch: int, *names: str) -> tuple[dict[str, str], list[list[str]]]:
        local = LocalBackend(Engine(), SongOptions(batch=batch))
        outcomes = local.songs(map(planned, names), order, unwatched)
        told = {each.song.idx: str(o) if isinstance(o, Failed) else "made" for each, o in outcomes}
        return told, local._maker.batches

    return songs


def test_songs_are_composed_in_batches_of_the_list_in_its_order(run):
    told, batches = run(2, "a", "b", "c", "d", "e")
    assert batches == [["a", "b"], ["c", "d"], ["e"]]
    assert told == dict.fromkeys("abcde", "made")
    assert run(1, "a", "b")[1] == [["a"], ["b"]]


def test_songs_that_break_together_are_made_one_by_one(run):
    told, batches = run(3, "a", "bad", "b", "c")
    assert batches == [["a", "bad", "b"], ["a"], ["bad"], ["b"], ["c"]]
    assert told == {"a": "made", "bad": "RuntimeError: It broke.", "b": "made", "c": "made"}


def test_a_song_that_cannot_be_begun_costs_no_other(run):
    told, batches = run(4, "a", "unread", "refused", "b")
    assert batches == [["a", "refused", "b"]]
    assert told == {"a": "made", "unread": "Its clip is gone.", "refused": "No.", "b": "made"}
