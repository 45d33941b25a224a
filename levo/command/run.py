"""A list of songs made from beginning to end: read, checked, made by a backend, saved, recorded.

Whatever can be known before the first song is known by then. A folder belongs to one run at a time; what a
run that was killed left is gone over by the next, which makes what is missing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ..batch import results, saving, song_list
from ..batch.attempts import unfinished
from ..batch.clips import require_clip
from ..batch.messages import refusal, summary
from ..batch.record import record_of, style_of
from ..batch.saving import Planned
from ..batch.song_list import Fault, Song, SongList, SongListError
from ..files import atomic
from ..files.claims import ClaimError, locked
from ..files.names import shown
from ..files.style_library import Entries, read_library
from ..text.status import clock
from .backend import Backend, Failed
from .job import Engine, Files, SongOptions
from .make import FinishedSong, Order
from .progress import Bars
from .sound_files import decoded, require_package

LOCK = ".levo.lock"
ALL_MADE, SOME_FAILED, REFUSED = 0, 1, 2  # exit status


@dataclass(frozen=True)
class Place:
    """Which songs, and where they go."""

    songs: Path | None  # None for the built-in list
    folder: Path
    clips: Path  # folder of prompt audio
    library: Path | None = None
    skip_faulty: bool = False
    again: bool = False  # songs that are finished, too
    most: int = 0  # songs of this run; 0 for all
    quiet: bool = False


@dataclass(frozen=True)
class Work:
    """What there is to do."""

    listed: SongList
    library: dict[str, Entries]
    missing: tuple[Song, ...]
    failed: tuple[Fault, ...]  # songs that are passed over
    now: tuple[Song, ...]

    @property
    def encodes_clips(self) -> bool:
        """Whether a song has prompt audio."""
        return any(song.audio for song in self.now)


def run(
    place: Place, engine: Engine, options: SongOptions, backend: Callable[[Engine, SongOptions], Backend]
) -> int:
    """Make the songs of a list that are missing; gives the exit status.

    Args:
        place: list and folder.
        engine: of the backend; whether it encodes clips is found out here.
        options: how songs are made.
        backend: called once it is known that there is something to make.

    Raises:
        ValueError: in one sentence, why nothing was made.
    """
    require_package()
    listed, library = _listed(place, options)
    with ExitStack() as stack:
        _hold(place.folder, stack)
        work = _work(place, listed, library)
        planned = saving.begin(work.now, work.missing, listed.faults, place.folder, options.suffix)
        _say(place, summary(listed, len(work.missing), list(work.failed), work.now))
        passed_over = len(listed.faults) + len(work.failed)
        if not planned:
            if not work.missing:
                _say(place, "With other options they are made anew by --again, or in another folder.")
            return SOME_FAILED if passed_over else ALL_MADE
        if work.encodes_clips:
            _require_encoders(engine.files)
        started = results.now()
        makers = backend(replace(engine, encodes_clips=work.encodes_clips), options)
        failures = _make_songs(makers, planned, place, options, library, started)
    return SOME_FAILED if failures or passed_over else ALL_MADE


def _listed(place: Place, options: SongOptions) -> tuple[SongList, dict[str, Entries]]:
    """The songs of a list that is in order, and the library.

    Raises:
        SongListError: it is not.
    """
    library = read_library(place.library) if place.library else {}
    try:
        if place.songs and (place.songs.is_char_device() or place.songs.is_block_device()):
            raise SongListError(f"The list {shown(str(place.songs))} is a device; name a .jsonl file.")
        data = song_list.EXAMPLE.encode() if place.songs is None else place.songs.read_bytes()
    except OSError as error:
        raise SongListError(
            f"The list {shown(str(place.songs))} cannot be read ({error.strerror}); name a .jsonl file."
        ) from error

    def hear(path: Path) -> None:
        require_clip(path, *decoded(path), [options.prompt_start])

    listed = song_list.read(data, place.clips, library, hear)
    if listed.faults and not (place.skip_faulty and listed.songs):
        raise SongListError(refusal(str(place.songs), listed, "use --skip-faulty"))
    return listed, library


def _hold(folder: Path, stack: ExitStack) -> None:
    """Make a folder and keep other runs out of it.

    Raises:
        ValueError: the disk does not let us, or another run is there.
    """
    with atomic.explaining_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(locked(folder / LOCK, patience=0))
        except ClaimError as error:
            raise SongListError(
                f"Another levo makes songs in {folder}; wait until it is done, or name another folder."
            ) from error


def _require_encoders(files: Files) -> None:
    """Raise a ValueError where styles cannot be made of prompt audio; built-in models need none."""
    needed = {
        "--style-encoder": files.style_encoder,
        "--track-encoder": files.track_encoder,
        "--separator": files.separator,
    }
    absent = [option for option, path in needed.items() if path is None]
    if absent and not files.are_built_in:
        raise ValueError(
            "The list has prompt audio, and a style by random weights is none for models from files; give "
            f"files as {' and '.join(absent)}, too: see --help."
        )


def _work(place: Place, listed: SongList, library: dict[str, Entries]) -> Work:
    missing, failed = (
        (list(listed.songs), [])
        if place.again
        else unfinished(listed.songs, place.folder, place.skip_faulty)
    )
    now = missing[: place.most or None]
    return Work(listed, library, tuple(missing), tuple(failed), tuple(now))


def _make_songs(
    makers: Backend,
    planned: Iterable[Planned],
    place: Place,
    options: SongOptions,
    library: dict[str, Entries],
    started: str,
) -> int:
    """Make, save and record songs; gives how many could not be made.

    Raises:
        SongListError: a song could not be saved; the rest is left.
    """
    planned, failures, begun = list(planned), 0, time.monotonic()

    def order(each: Planned) -> Order:
        style = style_of(each.song, library)
        clip = each.song.audio.read_bytes() if each.song.audio else None
        return Order(each.song, clip, None if style is None else style.codes)

    with Bars(len(planned), place.quiet) as bars:
        for each, outcome in makers.songs(planned, order, bars.watch):
            if isinstance(outcome, Failed):
                failures += 1
                _note(each, str(outcome))
                bars.song(f"{shown(each.song.idx)} could not be made: {outcome}")
            else:
                _keep(each, outcome, options, started)
                bars.song(_line(each.song, outcome))
    spent = max(time.monotonic() - begun, 1e-9)
    succeeded = len(planned) - failures
    pace = f"{succeeded} of {len(planned)} songs in {clock(spent)} ({succeeded / spent * 3600:.0f} an hour)"
    failed = f" {failures} could not be made: see {results.RESULTS}." if failures else ""
    _say(place, f"Made {pace}.{failed}")
    return failures


def _keep(planned: Planned, finished: FinishedSong, options: SongOptions, started: str) -> None:
    """Save all takes of a song.

    Raises:
        SongListError: one could not be saved.
    """
    song, tokens = planned.song, finished.tokens
    settings = {
        **options.settings(),
        "lyrics": tokens.request.lyrics,
        "description": song.description,
        **({"prompt_audio": song.audio.name} if song.audio else {}),
        **({"style": song.style} if song.style else {}),
        **finished.models,
    }
    for number, take in enumerate(finished.takes):
        record = record_of(song, tokens, number, take.seconds, started, settings)
        notes = {"notes": list(finished.notes)} if finished.notes else {}
        try:
            saving.save(planned, number, take.files, {**record, **notes})
        except (OSError, ValueError) as error:
            raise SongListError(saving.refusal(planned, error)) from error


def _note(planned: Planned, reason: str) -> None:
    song = planned.song
    results.note(planned.folder, [Fault(song.line, reason, song.idx, song.request_hash)])


def _line(song: Song, finished: FinishedSong) -> str:
    ends = [
        f"{clock(take.seconds)} {'ended' if ended else 'cut'}"
        for take, ended in zip(finished.takes, finished.tokens.ended, strict=True)
    ]
    notes = f" ({' '.join(finished.notes)})" if finished.notes else ""
    return f"{shown(song.idx)}: {', '.join(ends)}{notes}"


def _say(place: Place, text: str) -> None:
    if not place.quiet:
        sys.stderr.write(f"{text}\n")
