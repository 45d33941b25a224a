"""What became of a list of songs: a file with one JSON object a line, beside the audio.

A line with `file` tells of a song that was saved, one with `error` of a song that could not be made. A song
is its idx and what was asked for: two that share an idx have a line and a file each. Several programs may
write into one folder: whoever changes the file holds its lock (`changing`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from ..files import atomic
from ..files.claims import locked
from ..files.names import fault
from .names import file_name, key
from .song_list import IDX, Fault, Song, SongListError

RESULTS = "results.jsonl"
LOCK = f".{RESULTS}.lock"
REQUEST_HASH, FILE, SAVED, SETTINGS = "asked_sha256", "file", "saved", "settings"
ERROR, FAILED = "error", "failed"
STEMS = "stems"  # files of a song's tracks, by their names
SUFFIX, SUFFIXES = ".flac", (".flac", ".wav", ".mp3", ".opus")

Records = dict[tuple[str, ...], dict]  # by file, or by song where there is none


def now() -> str:
    """The time as results have it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read(folder: Path) -> Records:
    """All results; none where nothing was made yet.

    Where two lines name one file, as older versions wrote, the file is the later song's.

    Raises:
        SongListError: the file is no such file.
    """
    path = folder / RESULTS
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise SongListError(f"{path} is a pipe or a device, not a file; move it away.")
    try:
        text = path.read_text("utf-8-sig") if path.exists() else ""
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # what could not be made is not there
            return {}
        raise SongListError(f"{path} cannot be read ({error.strerror}); move it away.") from error
    except ValueError as error:
        raise _damaged(path) from error
    records: Records = {}
    try:
        for line in text.split("\n"):
            if line.strip():
                record = json.loads(line)
                name = _key(record)
                before = records.get(name, {})
                if _time(record) >= _time(before):
                    records[name] = record
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path) from error
    return records


def put(folder: Path, records: Records) -> None:
    """Write all results, whole or not at all; for who holds the lock."""
    data = "".join(f"{_line(record)}\n" for record in records.values()).encode()
    with atomic.writing(folder / RESULTS, len(data)) as unfinished:
        unfinished.write_bytes(data)


@contextmanager
def changing(folder: Path) -> Iterator[Records]:
    """Give the results to be changed, while nobody else can, and write them.

    Raises:
        SongListError: the results cannot be read.
        ClaimError: another program holds them.
    """
    with locked(folder / LOCK):
        records = read(folder)
        yield records
        put(folder, records)


def add(records: Records, record: dict) -> None:
    """Put a result in the place of an earlier one; a song that was saved has not failed any more."""
    records[_key(record)] = record
    if ERROR not in record:
        for each in [k for k, one in records.items() if ERROR in one and one[IDX] == record[IDX]]:
            if records[each].get(REQUEST_HASH, "") in ("", record.get(REQUEST_HASH, "")):
                del records[each]


def write(folder: Path, record: dict) -> None:
    """Add a result, or put it in the place of an earlier one; the file is whole at any moment.

    Args:
        folder: of the audio.
        record: with `idx`.
    """
    with changing(folder) as records:
        add(records, record)


def note(folder: Path, faults: Iterable[Fault]) -> None:
    """Record songs that could not be made, in a folder that exists; those without an idx cannot be."""
    records = read(folder)
    new = [fault for fault in faults if fault.idx and not _is_known(fault, records)]
    if new:
        with changing(folder) as records:
            for fault in new:
                record = {IDX: fault.idx, "line": fault.line, ERROR: fault.reason, FAILED: now()}
                if fault.request_hash:
                    record[REQUEST_HASH] = fault.request_hash
                add(records, record)


def missing(songs: Iterable[Song], folder: Path) -> list[Song]:
    """Songs that are not there as they are asked for now.

    Raises:
        SongListError: the results cannot be read.
    """
    records = read(folder)
    return [song for song in songs if not _has_file(song, records, folder)]


def failures(songs: Iterable[Song], folder: Path) -> list[Fault]:
    """Which songs could not be made as they are asked for now, and why.

    Raises:
        SongListError: the results cannot be read.
    """
    records = read(folder)
    failed = {(one[IDX], one.get(REQUEST_HASH)): one[ERROR] for one in records.values() if ERROR in one}
    return [
        Fault(song.line, str(failed[song.idx, song.request_hash]), song.idx, song.request_hash)
        for song in songs
        if (song.idx, song.request_hash) in failed
    ]


def state(folder: Path, failures: bool) -> str:
    """Changes when a song is saved, and with `failures` when one that was begun could not be made."""
    try:
        records = read(folder)
    except SongListError as error:
        return str(error)
    counts = {
        name: _time(record)
        for name, record in records.items()
        if ERROR not in record or (failures and record.get(REQUEST_HASH))
    }
    return hashlib.sha256(repr(counts).encode(errors="surrogatepass")).hexdigest()


def saved_of(song: Song, records: Records) -> dict[str, str]:
    """The files that a song has, whether they are still there or not, and when each was saved."""
    return {
        file: _time(one)
        for one in records.values()
        if one[IDX] == song.idx and one.get(REQUEST_HASH) == song.request_hash and (file := file_of(one))
    }


def stems_of(record: dict) -> dict[str, str]:
    """The files of a song's tracks, by the names of the tracks; none where a result has none."""
    stems = record.get(STEMS)
    named = stems.items() if isinstance(stems, dict) else ()
    return {str(track): file for track, file in named if isinstance(file, str) and _is_name(file)}


def is_whole(path: Path) -> bool:
    """Whether a file is there and not empty, as after a power cut."""
    try:
        return path.is_file() and path.stat().st_size > 0
    except (OSError, ValueError):  # a name that no file can have
        return False


def _has_file(song: Song, records: Records, folder: Path) -> bool:
    return any(is_whole(folder / file) for file in saved_of(song, records))


def file_of(record: dict) -> str:
    """Name of a result's file, "" if it has none; older results may leave out what follows from the idx."""
    if ERROR in record:
        return ""
    file = record.get(FILE) or f"{file_name(record[IDX])}{SUFFIX}"
    return file if _is_name(file) else ""


def _is_name(file: str) -> bool:
    alone = Path(file).name == file and "\\" not in file
    return alone and file.lower().endswith(SUFFIXES) and fault(file) is None


def _key(record: dict) -> tuple[str, ...]:
    idx = record[IDX] + ""  # a text, or it fails; so is the hash
    request_hash = (record.get(REQUEST_HASH) or "") + ""
    file = file_of(record)
    return (key(file),) if file else (idx, request_hash)


def _time(record: dict) -> str:
    return str(record.get(SAVED) or record.get(FAILED) or "")


def _is_known(fault: Fault, records: Records) -> bool:
    record = records.get((fault.idx, fault.request_hash), {})
    return (record.get(ERROR), record.get("line")) == (fault.reason, fault.line)


def _line(record: dict) -> str:
    """A result as JSON: settings that cannot be written are left out, half characters are escaped."""
    try:
        text = json.dumps(record, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({k: None if k == SETTINGS else v for k, v in record.items()}, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text))
    return text


def _damaged(path: Path) -> SongListError:
    return SongListError(f"{path} is damaged; mend it, or move it away to begin anew.")
