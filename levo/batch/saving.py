"""Where the songs of a list are saved: a folder that was tried before anything is composed, and names that
no other song has, whoever else writes there. Knows nothing of how sound gets into a file.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ..files.claims import ClaimError, abandoned, claim, locked
from ..files.names import fault, shown
from . import names, results
from .names import key
from .results import FILE, SUFFIX, SUFFIXES
from .song_list import Fault, Song, SongListError

CORE = ".partial_00001_.flac"  # what ComfyUI puts behind the name that it is given
PROBE_BYTES = 4_096
SHOWN = 300  # characters of a folder in a sentence
STALE = 3_600.0  # seconds after which nobody is still writing a partial file of an earlier version
PARTIAL = re.compile(r"\..+\.partial_\d+_\.flac")  # of ComfyUI's
PARTIAL_LOCK = re.compile(r"(\.[0-9a-f]{16}\.partial)\.lock")


@dataclass(frozen=True)
class Planned:
    """A song, and where it is to be saved."""

    song: Song
    folder: Path
    name: str  # of its first file, without ending
    earlier: tuple[tuple[str, str], ...]  # files that it has already, and when each was saved
    suffix: str = SUFFIX


def folder_of(name: str, output: Path, now: time.struct_time) -> Path:
    """A folder below the output folder, with the names of times in it resolved.

    Raises:
        SongListError: it leads elsewhere, or has a name in it that means nothing.
    """
    if wrong := fault(name):
        raise SongListError(f"cannot use the folder {shown(name)}, {wrong}.")
    try:
        path = Path(os.path.abspath(output / names.dated(name.strip(), now)))
    except ValueError as error:
        raise SongListError(f"cannot use the folder {shown(name)}: {error}.") from error
    if output not in path.parents:
        raise SongListError(f"cannot use the folder {shown(name)}; name one inside {output}.")
    return path


def prepare(folder: Path, songs: Sequence[Song]) -> None:
    """Make the folder, and write and delete a file of the longest name that these songs will ask for.

    Raises:
        SongListError: the disk does not let us, or the results are damaged.
    """
    file_names = [names.file_name(song.idx) for song in songs]
    longest = max(file_names, key=lambda name: len(name.encode()), default="")
    probe = folder / f".{longest} (99999){CORE}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        if claim(probe):  # else another program is trying the same
            try:
                probe.write_bytes(bytes(PROBE_BYTES))
            finally:
                probe.unlink(missing_ok=True)
        with locked(folder / results.LOCK):
            results.read(folder)
    except OSError as error:
        raise SongListError(
            f"Songs cannot be saved in {_brief(folder)} ({error.strerror}, for a name such as "
            f"{probe.name}); make room or change its rights, or choose another folder."
        ) from error


def _brief(folder: Path) -> str:
    text = str(folder)
    return text if len(text) < SHOWN else f"{text[:SHOWN]}…"


def begin(
    now: Sequence[Song],
    unfinished: Sequence[Song],
    faults: Iterable[Fault],
    folder: Path,
    suffix: str = SUFFIX,
) -> list[Planned]:
    """Prepare a folder for the songs of a run, and record clips of the list that are at fault.

    Args:
        now: songs that the run makes.
        unfinished: those that later runs make, too.
        faults: faulty lines of the list.
        folder: need not be there; without a song to make it is not made.
        suffix: of the files.

    Raises:
        SongListError: nothing could be saved; whatever can be known is tried.
    """
    if now:
        prepare(folder, unfinished)
    if folder.is_dir():
        results.note(folder, [fault for fault in faults if fault.clip])
    return plan(now, folder, suffix)


def plan(songs: Sequence[Song], folder: Path, suffix: str = SUFFIX) -> list[Planned]:
    """Names for the files of songs, which differ from each other and from all that is in the folder.

    Whether they still do when a song is saved, `keep` sees.

    Raises:
        SongListError: the results cannot be read.
    """
    records = results.read(folder)
    taken = _taken(folder, records)
    planned = []
    for song in songs:
        saved = tuple(results.saved_of(song, records).items())
        name = Path(saved[0][0]).stem if saved else _free(song, taken, suffix)
        taken.add(key(f"{name}{suffix}"))
        planned.append(Planned(song, folder, name, saved, suffix))
    return planned


def takes_of(songs: int, takes: Sequence[int], sounds: int) -> list[tuple[int, int]]:
    """Whose each sound is, as the number of a song and of its take, both from 0.

    Args:
        songs: how many there are.
        takes: how many each song has; the last number goes for all that follow.
        sounds: how many there are, song by song: all takes of each, or one of each.

    Raises:
        ValueError: they are not those of the songs.
    """
    counts = [takes[min(song, len(takes) - 1)] for song in range(songs)]
    if sounds == sum(counts):
        return [(song, take) for song, count in enumerate(counts) for take in range(count)]
    if sounds == songs:
        return [(song, 0) for song in range(songs)]
    raise ValueError(
        f"There are {sounds} sounds for {songs} songs with {sum(counts)} takes, so it cannot be told which "
        "is whose; connect song, audio and tokens of the same songs to LeVo Save Song."
    )


def keep(
    planned: Planned, take: int, partial: Path, record: dict, stems: Mapping[str, Path] | None = None
) -> Path:
    """Give a song's sound its name, and record it.

    Args:
        planned: song.
        take: counts from 0; each has a file of its own.
        partial: the sound, in the song's folder.
        record: of the results, without `file`.
        stems: its tracks, there too; each is called as the sound is, with its own name behind.

    Returns:
        The file.

    Raises:
        SongListError: it could not be recorded; the sound is saved all the same.
    """
    failure: Exception | None = None
    records: results.Records = {}
    try:
        with locked(planned.folder / results.LOCK):
            try:
                records = results.read(planned.folder)
            except SongListError as error:
                failure = error
            tracks = _stems_moved(planned, take, records, stems or {})
            file = _moved(planned, take, records, partial)
            if failure is None:
                failure = _recorded(planned.folder, records, {**record, FILE: file.name, **tracks})
    except ClaimError as error:
        file, failure = _moved(planned, take, records, partial), error
    if failure is not None:
        raise SongListError(f"{file.name} is saved, but not recorded: {failure}") from failure
    return file


def save(planned: Planned, take: int, sounds: Mapping[str, bytes], record: dict) -> Path:
    """Write sound that was encoded, whole or not at all, and its result; gives its file.

    Args:
        planned: song.
        take: counts from 0.
        sounds: by the name of the track: the song's own first, then its stems.
        record: of the results, without `file`.

    Raises:
        SongListError: it could not be recorded.
        OSError: it could not be saved.
    """
    with partial(planned.folder) as name:
        paths = {}
        for number, (track, data) in enumerate(sounds.items()):
            paths[track] = planned.folder / f"{name}_{number:05}_{planned.suffix}"
            with paths[track].open("xb") as file:
                file.write(data)
        first = next(iter(paths))
        return keep(planned, take, paths.pop(first), record, paths)


def refusal(planned: Planned, error: Exception) -> str:
    """Why a song could not be saved, in a sentence."""
    if not isinstance(error, OSError):
        return str(error)
    return (
        f"{shown(planned.song.idx)} cannot be saved in {planned.folder} ({error.strerror}); make "
        "room or change the folder's rights, and run it again."
    )


def _moved(planned: Planned, take: int, records: results.Records, partial: Path) -> Path:
    file = _replaceable(planned, take, records) or _claimed(planned, take, records)
    os.replace(partial, file)
    return file


def _recorded(folder: Path, records: results.Records, record: dict) -> Exception | None:
    """Write a result; gives what went wrong."""
    try:
        results.add(records, record)
        results.put(folder, records)
    except (OSError, ValueError) as error:
        return error
    return None


def _stems_moved(
    planned: Planned, take: int, records: results.Records, stems: Mapping[str, Path]
) -> dict[str, dict[str, str]]:
    """Give a song's tracks their names, those that they had before where it is made again."""
    if not stems:
        return {}
    earlier = _replaceable(planned, take, records)
    before = results.stems_of(records.get((key(earlier.name),), {})) if earlier else {}
    named = {}
    for track, partial in stems.items():
        file = planned.folder / before.get(track, "")
        if track not in before or file.suffix != planned.suffix or file.is_dir():
            file = _claimed(planned, take, records, f"_{track}")
        os.replace(partial, file)
        named[track] = file.name
    return {results.STEMS: named}


def _replaceable(planned: Planned, take: int, records: results.Records) -> Path | None:
    """The file that a take is to replace, if nothing happened to it since the list was read."""
    alike = [(name, saved) for name, saved in planned.earlier if name.lower().endswith(planned.suffix)]
    if take >= len(alike):
        return None
    name, saved = alike[take]
    if results.saved_of(planned.song, records).get(name) != saved:
        return None
    others = {path.name for path in _sounds(planned.folder) if key(path.name) == key(name)} - {name}
    file = planned.folder / name
    return None if others or file.is_dir() else file


def _claimed(planned: Planned, take: int, records: results.Records, track: str = "") -> Path:
    """A file of a name that nobody has, empty so far; `track` stands behind the song's name."""
    taken = _taken(planned.folder, records)
    first = () if take else (planned.name,)
    for name in chain(first, names.numbered(names.file_name(planned.song.idx))):
        file = planned.folder / f"{name}{track}{planned.suffix}"
        if key(file.name) not in taken and claim(file):
            return file
    raise AssertionError


def _free(song: Song, taken: Collection[str], suffix: str) -> str:
    return names.free(names.file_name(song.idx), lambda name: key(f"{name}{suffix}") in taken)


def _taken(folder: Path, records: results.Records) -> set[str]:
    """Keys of the file names that are there or recorded."""
    stems = {key(file) for record in records.values() for file in results.stems_of(record).values()}
    present = {key(path.name) for path in _sounds(folder)}
    return {name for name, *rest in records if not rest} | stems | present


def _sounds(folder: Path) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return [path for path in paths if path.suffix.lower() in SUFFIXES]


@contextmanager
def partial(folder: Path) -> Iterator[str]:
    """A beginning of a name that nobody else uses; whatever has it goes away at the end.

    While it is in use a file beside it is locked: what a killed run left has no lock.

    Raises:
        ClaimError: the lock cannot be had.
        OSError: the folder cannot be written.
    """
    name = f".{secrets.token_hex(8)}.partial"
    with locked(folder / f"{name}.lock"):
        try:
            yield name
        finally:
            _remove(folder.glob(f"{name}_*"))


def _remove_leftovers(folder: Path) -> None:
    """Remove partial files of runs that were killed."""
    for path in list(folder.iterdir()):
        lock = PARTIAL_LOCK.fullmatch(path.name)
        if lock and abandoned(path):
            _remove((*folder.glob(f"{lock[1]}_*"), path))
        elif PARTIAL.fullmatch(path.name) and not _is_young(path):
            _remove([path])


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime <= STALE
    except OSError:
        return True


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # gone meanwhile, or not ours
            path.unlink()
