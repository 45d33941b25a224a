"""What a song's file says of the song, as far as its tokens know it."""

from __future__ import annotations

from dataclasses import replace

from ..audio.file_tags import FileTags
from ..text.lyrics import LyricsError, parse
from .tokens import SongTokens


def tagged(tags: FileTags, tokens: SongTokens, take: int) -> FileTags:
    """Tags with a take's lyrics; with its tags as genre; with tags, seed and checkpoint as comment.

    Args:
        tags: what is known otherwise.
        tokens: the song.
        take: counts from 0.
    """
    style = tokens.request.tags.rstrip(". ")
    notes = (style, f"seed {tokens.seeds[take]}", tokens.composer.checkpoint)
    return replace(
        tags, genre=style, comment="; ".join(filter(None, notes)), lyrics=printed(tokens.request.lyrics)
    )


def printed(lyrics: str) -> str:
    """Lyrics of the strict format as players show them: a phrase a line, sections apart; "" for none."""
    try:
        sections = parse(lyrics).sections
    except LyricsError:  # an instrumental
        return ""
    sung = [section for section in sections if section.phrases]
    return "\n\n".join("\n".join((f"[{section.tag}]", *section.phrases)) for section in sung)
