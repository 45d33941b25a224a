"""Songs of lists that are saved with a text in place of sound, and whether all of them are still there."""

from __future__ import annotations

import json
import os
from pathlib import Path

from levo.batch import results, saving
from levo.batch.names import key
from levo.batch.saving import Planned, plan, prepare
from levo.batch.song_list import IDX, Song


def song(idx: str, lyrics: str = "la", line: int = 1) -> Song:
    return Song(line, idx, f"[verse] {lyrics}.", "", None, "")


def save(planned: Planned, text: str, take: int = 0, **fields: object) -> str:
    """Save a text in place of sound; gives the file's name."""
    partial = planned.folder / f".{os.urandom(8).hex()}{saving.CORE}"
    partial.write_text(text, "utf-8")
    one = planned.song
    record = {IDX: one.idx, "saved": results.now(), "asked_sha256": one.request_hash, **fields}
    return saving.keep(planned, take, partial, record).name


def make(folder: Path, *songs: Song) -> list[str]:
    """Save songs, each with its lyrics in place of sound."""
    prepare(folder, songs)
    return [save(planned, planned.song.lyrics) for planned in plan(songs, folder)]


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]


def assert_all_are_kept(folder: Path, *songs: Song) -> None:
    records = lines(folder)
    assert len(records) == len(songs)
    for one in songs:
        (record,) = (r for r in records if (r[IDX], r["asked_sha256"]) == (one.idx, one.request_hash))
        assert (folder / record["file"]).read_text("utf-8") == one.lyrics
    assert results.missing(songs, folder) == []
    files = [path.name for path in folder.iterdir()]
    assert len({key(file) for file in files}) == len(files) == len(songs) + 1
