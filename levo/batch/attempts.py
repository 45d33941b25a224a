"""Which songs are made next, and which could not be made: a run that fails is held against its only song.

A run of several songs that fails says nothing about any of them, so those are given out one by one then.
Knows nothing of how a run fails, nor of the sentence that says it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from . import results
from .song_list import Fault, Song

Run = TypeVar("Run", bound=Hashable)  # what tells the runs of a program apart


def unfinished(songs: Sequence[Song], folder: Path, pass_over: bool) -> tuple[list[Song], list[Fault]]:
    """Songs that are not finished, and those of them that are passed over, as they could not be made.

    Raises:
        SongListError: the results cannot be read.
    """
    missing = results.missing(songs, folder)
    failed = results.failures(missing, folder) if pass_over else []
    lines = {fault.line for fault in failed}
    return [song for song in missing if song.line not in lines], failed


class Attempts(Generic[Run]):
    """What was given to which run, for as long as the program runs."""

    def __init__(self) -> None:
        self._begun: dict[Run, tuple[Path, list[Song]]] = {}
        self._suspects: set[tuple[Path, str, str]] = set()
        self.failed = 0  # runs, so that one can see whether another one did

    def some(self, songs: Sequence[Song], folder: Path, most: int) -> list[Song]:
        """The first `most` songs, 0 for all; up to one that has to be tried alone."""
        alone = [(folder, song.idx, song.request_hash) in self._suspects for song in songs]
        end = 1 if alone[:1] == [True] else alone.index(True) if True in alone else len(songs)
        return list(songs[: min(most or end, end)])

    def begin(self, run: Run, folder: Path, songs: Sequence[Song]) -> None:
        """Remember what a run makes; see `end`."""
        self._begun[run] = folder, list(songs)

    def open(self) -> list[Run]:
        """Runs that have not ended as far as we know."""
        return list(self._begun)

    def end(self, run: Run, failure: str | None) -> Fault | None:
        """Take note of how a run ended; of a song that failed alone in results.jsonl.

        Args:
            run: that was begun; others do not matter.
            failure: a sentence, if making its songs failed; None if it went well or was stopped.

        Returns:
            What was noted.

        Raises:
            SongListError: the results cannot be read.
        """
        folder, songs = self._begun.pop(run, (Path(), []))
        if failure is None or not folder.is_dir():
            return None
        self.failed += 1
        missing = results.missing(songs, folder)
        if len(songs) > 1 or not missing:
            self._suspects |= {(folder, song.idx, song.request_hash) for song in missing}
            return None
        fault = Fault(songs[0].line, failure, songs[0].idx, songs[0].request_hash)
        results.note(folder, [fault])
        return fault
