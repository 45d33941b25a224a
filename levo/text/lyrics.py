"""Lyrics: what people type becomes the strict text the model reads, or one sentence that says why not.

Owns the sections of a song in order; lines, headings, phrases and marks have files of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from . import marks, voices
from .headings import pieces
from .lines import HAN_RANGE, half_width, lines_of
from .phrases import joined, phrase_seconds, phrases_of
from .tags import SUNG, TAGS, WORDLESS, LyricsError, nearest_length, shortened, wordless_seconds

__all__ = ["SUNG", "TAGS", "Lyrics", "LyricsError", "Section", "half_width", "parse", "read"]


@dataclass(frozen=True)
class Section:
    """One part of a song: `tag` is one of TAGS, `line` the 1-based line of the user's text it begins on."""

    tag: str
    phrases: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """The section in the strict format, such as "[verse] One phrase. Another phrase."."""
        return f"[{self.tag}] {joined(self.phrases)}" if self.phrases else f"[{self.tag}]"

    @property
    def seconds(self) -> float:
        """A rough length in seconds: a rule of thumb, not a promise."""
        return sum(map(phrase_seconds, self.phrases)) if self.tag in SUNG else wordless_seconds(self.tag)


@dataclass(frozen=True)
class Lyrics:
    """A whole song's lyrics in order; `published` is their text if it was given in a published form."""

    sections: tuple[Section, ...]
    published: str = ""

    @property
    def text(self) -> str:
        """The strict text the model reads, such as "[intro-short] ; [verse] One phrase."."""
        return self.published or " ; ".join(section.text for section in self.sections)

    @property
    def seconds(self) -> float:
        """A rough length in seconds: a rule of thumb, not a promise."""
        return sum(section.seconds for section in self.sections)


@dataclass
class Begun:
    """A section that is being read; `bare` music was asked for without its length."""

    tag: str
    line: int
    bare: bool = False
    phrases: list[str] = field(default_factory=list)

    @property
    def section(self) -> Section:
        """The section as far as it is read."""
        return Section(self.tag, tuple(self.phrases), self.line)


def parse(text: str) -> Lyrics:
    """Read lyrics as people type them, or in the strict format, whose text comes back unchanged.

    Raises LyricsError for whatever cannot be repaired without losing meaning.
    """
    sections, fault = read(text)
    if fault:
        raise fault
    lyrics = Lyrics(sections)
    return Lyrics(sections, _as_published(text.strip(), lyrics.text))


def read(text: str) -> tuple[tuple[Section, ...], LyricsError | None]:
    """The sections of lyrics, and the first fault; those before it if there is one."""
    sections: list[Begun] = []
    try:
        _read_lines(text, sections)
    except LyricsError as error:
        return tuple(begun.section for begun in sections if begun.phrases or begun.tag not in SUNG), error
    fault = _faulty_section(sections)
    before = [begun for begun in sections if fault is None or begun.line < fault.line]
    return tuple(begun.section for begun in before), fault


def repeated_music(sections: list[Begun]) -> Iterator[list[Begun]]:
    """Sections of the same music in a row of which one has no length, as other programs write them."""
    for part, members in groupby(sections, key=lambda begun: begun.tag.partition("-")[0]):
        run = list(members)
        if part in WORDLESS and len(run) > 1 and any(begun.bare for begun in run):
            yield run


def length_of_run(run: list[Begun]) -> tuple[float, str]:
    """Seconds that sections of the same music make, and the one tag that is nearest to them."""
    seconds = sum(wordless_seconds(begun.tag) for begun in run)
    return seconds, nearest_length(run[0].tag.partition("-")[0], seconds)


def _read_lines(text: str, sections: list[Begun]) -> None:
    fresh = True
    for number, line in lines_of(text):
        for piece in pieces(line, number, fresh) if line else ():
            if piece.tag:
                sections.append(Begun(piece.tag, number, piece.bare))
            if voices.is_label(piece.words):
                raise voices.voice_error(f'"{shortened(piece.words.strip())}"', number, piece.words)
            phrases = phrases_of(piece.words)
            if phrases:
                _refuse_misplaced_words(sections[-1].tag if sections else "", phrases, number)
                sections[-1].phrases.extend(phrases)
        fresh = not line


def _refuse_misplaced_words(tag: str, phrases: list[str], line: int) -> None:
    for phrase in phrases:
        marks.refuse(phrase, line)
    if not tag:
        shown = f'"{shortened(phrases[0])}"'
        raise LyricsError(line, f"{shown} has no section; begin with a section such as [verse].")
    if tag not in SUNG:
        remedy = "put the words under [verse], [chorus] or [bridge]"
        raise LyricsError(line, f"[{tag}] is played without words; {remedy}.")


def _faulty_section(sections: list[Begun]) -> LyricsError | None:
    """The first fault that no single line shows."""
    if not sections:
        return LyricsError(0, "There are no lyrics; write for example: [verse] Paper boats on a stream.")
    faults = [
        LyricsError(
            begun.line,
            f"[{begun.tag}] has no words; write them out, also where they repeat, or use [inst-short] for "
            "music alone.",
        )
        for begun in sections
        if begun.tag in SUNG and not begun.phrases
    ][:1]
    for run in repeated_music(sections):
        part = run[0].tag.partition("-")[0]
        seconds, tag = length_of_run(run)
        faults.append(
            LyricsError(
                run[0].line,
                f"[{part}] stands {len(run)} times in a row, which makes about {seconds:.0f} s of music; "
                f"write it once, such as [{tag}].",
            )
        )
        break
    return min(faults, key=lambda fault: fault.line, default=None)


# What published songs have beside " ; " between sections, and beside "." between Chinese phrases.
_SEPARATOR = re.compile(r" ?; {1,2}(?=\[)")
_SEMICOLON = re.compile(rf"(?<=[{HAN_RANGE}]) ?; ?(?=[{HAN_RANGE}])")


def _as_published(text: str, strict: str) -> str:
    """The text itself if it is the strict one but for separators that published songs have, or ""."""
    if text == strict or len(text) > len(strict) + strict.count(";"):
        return ""
    return text if _SEMICOLON.sub(".", _SEPARATOR.sub(" ; ", text)) == strict else ""
