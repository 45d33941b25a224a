"""What became of a list of songs: a file with one JSON object a song, beside the audio."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ..files import atomic
from .song_list import IDX, Song, SongListError

RESULTS = "results.jsonl"
ASKED, FILE = "asked_sha256", "file"
SUFFIX = ".flac"


def read(folder: Path) -> dict[str, dict]:
    """Results by idx; none where nothing was made yet.

    Raises:
        SongListError: the file is no such file.
    """
    path = folder / RESULTS
    if not path.exists():
        return {}
    try:
        records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
        return {record[IDX]: record for record in records}
    except (ValueError, KeyError, TypeError) as error:
        raise SongListError(f"{path} is damaged; mend it, or move it away to begin anew.") from error


def write(folder: Path, record: dict) -> None:
    """Add a song's result, or put it in the place of an earlier one; the file is whole at any moment.

    Args:
        folder: of the audio.
        record: with `idx`.
    """
    records = read(folder) | {record[IDX]: record}
    lines = [json.dumps(one, ensure_ascii=False) for one in records.values()]
    with atomic.writing(folder / RESULTS) as unfinished:
        unfinished.write_text("\n".join(lines) + "\n", "utf-8")


def missing(songs: Iterable[Song], folder: Path) -> list[Song]:
    """Songs that are not there as they are asked for now.

    Raises:
        SongListError: the results cannot be read.
    """
    results = read(folder)
    return [song for song in songs if not _is_there(song, results.get(song.idx, {}), folder)]


def _is_there(song: Song, record: dict, folder: Path) -> bool:
    return record.get(ASKED) == song.request_hash and (folder / f"{song.name}{SUFFIX}").is_file()
