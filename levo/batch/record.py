"""What results say of a song that was made, and which style of a library it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ..files.style_library import Entries, StyleEntry, language_of, pick
from ..song.tokens import SongTokens
from . import results
from .song_list import IDX, Song


def record_of(
    song: Song, tokens: SongTokens, take: int, seconds: float, started: str, settings: Mapping
) -> dict:
    """A line of results.jsonl, as far as it does not depend on the file; of a song that is saved now.

    Args:
        song: of the list.
        tokens: that its sound was rendered from.
        take: of the tokens, from 0.
        seconds: of sound.
        started: when the list was read, as `results.now` has it.
        settings: what else it was made with, for JSON.
    """
    return {
        IDX: song.idx,
        results.FILE: "",
        "seconds": seconds,
        "ended_by_itself": tokens.ended[take],
        "seed": tokens.seeds[take],
        "sampling": asdict(tokens.sampling),
        "composer": asdict(tokens.composer),
        "started": started,
        results.SAVED: results.now(),
        results.REQUEST_HASH: song.request_hash,
        results.SETTINGS: settings,
    }


def style_of(song: Song, library: Mapping[str, Entries]) -> StyleEntry | None:
    """The style that a song asks for, None if it asks for none: the same line always gets the same entry.

    Raises:
        StyleFileError: the library has no such style, none in the song's language, or a damaged one.
    """
    if not song.style:
        return None
    return pick(library, song.style, language_of(song.lyrics), int(song.request_hash[:8], 16))
