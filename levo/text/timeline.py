"""Where the sections of a finished song lie, by estimate: nothing in a song's tokens marks them."""

from __future__ import annotations

from dataclasses import dataclass

from .lyrics import Lyrics


@dataclass(frozen=True)
class Mark:
    """The estimated beginning of a section; `tag` is one of lyrics.TAGS, `start` in seconds.

    `words` are its phrases as the model reads them, divided by slashes; "" where nothing is sung.
    """

    tag: str
    start: float
    words: str = ""


def marks(lyrics: Lyrics, seconds: float, ended: bool) -> tuple[Mark, ...]:
    """Lay the sections over a song.

    Args:
        lyrics: what was asked for.
        seconds: length of the song.
        ended: whether it ended by itself. Then all sections are in it, and their estimated lengths are
            scaled to fill it; a song that was cut short keeps the estimates and loses what lies behind it.
    """
    scale = seconds / lyrics.seconds
    if not ended:
        scale = max(1.0, scale)
    marks, start = [], 0.0
    for section in lyrics.sections:
        if start >= seconds:
            break
        marks.append(Mark(section.tag, start, " / ".join(section.phrases)))
        start += section.seconds * scale
    return tuple(marks)
