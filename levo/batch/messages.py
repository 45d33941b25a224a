"""What is said of a list of songs: why it is refused, what of it is left to do, what was passed over."""

from __future__ import annotations

from collections.abc import Sequence

from ..files.names import shown
from .song_list import Fault, Song, SongList, first_sentences

NAMED = 3  # songs of a run


def refusal(name: str, listed: SongList, instead: str) -> str:
    """What is wrong with a list, line by line.

    Args:
        name: of the list.
        listed: in it, faulty lines among it.
        instead: what else can be done but mending it, where songs are left.
    """
    count = len(listed.faults)
    lines = "a faulty line" if count == 1 else f"{count:,} faulty lines"
    advice = f"mend it, or {instead}" if listed.songs else "no song is left; mend it"
    return "\n".join((f"{name} has {lines}; {advice}.", *first_sentences(listed.faults)))


def summary(listed: SongList, missing: int, failed: Sequence[Fault], now: Sequence[Song]) -> str:
    """What there is to do, what this run makes, and what was passed over.

    Args:
        listed: the list.
        missing: how many of its songs are to be made.
        failed: songs that are passed over, as they could not be made.
        now: what this run makes.
    """
    if missing:
        first = [f"{missing} of {len(listed.songs)} songs to make.", _named(now)]
    elif failed:
        first = [f"No song is left to make, and {len(failed)} could not be made."]
    else:
        first = ["All songs are finished."]
    skipped = sorted((*listed.faults, *failed), key=lambda fault: fault.line)
    passed = [f"Skipped: {fault}" for fault in skipped]
    return "\n".join((*first, *first_sentences(passed), *first_sentences(listed.oddities, "remarks")))


def _named(songs: Sequence[Song]) -> str:
    names = [f"line {song.line} ({shown(song.idx)})" for song in songs[:NAMED]]
    more = len(songs) - len(names)
    return f"This run: {', '.join(names)}{f' and {more} more' if more else ''}."
