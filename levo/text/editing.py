"""Lyrics in the making: what an editor shows beside them, and a tidy version that heals what it can.

Heals more than `lyrics.parse` does, by guessing what was meant; so only people who see the result use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import marks, repeats, voices
from .headings import pieces
from .lines import lines_of, without_half_characters
from .lyrics import Begun, Lyrics, Section, length_of_run, parse, read, repeated_music
from .phrases import phrases_of
from .repeats import MAX_REPEATS
from .tags import SUNG, LyricsError, repeat_error

__all__ = ["MAX_CHARACTERS", "MAX_REPEATS", "LyricsReport", "healed", "laid_out", "report"]

MAX_CHARACTERS = 20_000  # that are looked at; the longest song takes a few thousand
MAX_SECTIONS, MAX_PHRASES = 200, 1_000  # that are healed
# The number of a subtitle, on a line of its own above its times.
_SUBTITLE = re.compile(
    r"^[ \t]{0,8}\d{1,5}[ \t]{0,8}\r?$(?=\r?\n[ \t]{0,8}\d{1,2}:\d{2}:\d{2}[.,])", re.MULTILINE
)


class TooMuchError(LyricsError):
    """Lyrics that could be healed but are longer than any song."""


@dataclass(frozen=True)
class LyricsReport:
    """What there is to say about lyrics that somebody is writing."""

    sections: tuple[Section, ...]  # as far as they can be told; sung ones may be without words yet
    problem: LyricsError | None  # the first
    tidy: str | None  # the text as it would be tidy; None if it cannot be healed

    @property
    def seconds(self) -> float:
        """A rough length in seconds, of the sections."""
        return Lyrics(self.sections).seconds


def report(text: str) -> LyricsReport:
    """Look at lyrics as they are typed; never raises."""
    if len(text) > MAX_CHARACTERS:
        reason = (
            f"These lyrics have {len(text):,} characters; here at most {MAX_CHARACTERS:,} are looked at, "
            "and a song takes a few thousand."
        )
        return LyricsReport((), LyricsError(0, reason), None)
    try:
        parsed = parse(text)
        return LyricsReport(parsed.sections, None, laid_out(parsed.sections, parsed.text))
    except LyricsError as error:
        problem = error
    try:
        sections = healed(text)
    except TooMuchError as error:
        problem = LyricsError(problem.line, f"{problem.reason} {error.reason}")
        return LyricsReport(read(text)[0], problem, None)
    except LyricsError:
        return LyricsReport(read(text)[0], problem, None)
    return LyricsReport(sections, problem, _lasting(laid_out(sections)) if sections else None)


def healed(text: str) -> tuple[Section, ...]:
    """The sections that were likely meant.

    Unknown sections become their likeliest relative, words without a section a verse, a line with "x3"
    three lines; times and names of singers go; a section without words gets those of the last one of its
    name, if there is one; music that is named several times in a row becomes one section of that length.

    Raises LyricsError for what nobody can guess, TooMuchError for more than a song.
    """
    song = _Healing()
    fresh = True
    for number, line in lines_of(_SUBTITLE.sub("", without_half_characters(text))):
        for piece in pieces(line, number, fresh, mend=True):
            if piece.tag:
                song.begin(piece.tag, number, piece.bare)
            song.sing("" if voices.is_label(piece.words) else piece.words, number)
        fresh = not line
    return song.finished()


def laid_out(sections: Iterable[Section], strict: str = "") -> str:
    """Sections as people write them: a heading, one phrase a line, an empty line between sections.

    The strict text where the sheet would not be read as it.
    """
    sections = tuple(sections)
    strict = strict or Lyrics(sections).text
    lacking = any(section.tag in SUNG and not section.phrases for section in sections)
    sheet = "\n\n".join("\n".join([f"[{section.tag}]", *section.phrases]) for section in sections)
    try:
        return sheet if lacking or parse(sheet).text == strict else strict
    except LyricsError:
        return strict


def _lasting(tidy: str) -> str | None:
    """A tidy text, unless there is still something to heal in it; words that lack are not for Tidy."""
    try:
        again = healed(tidy)
        words = [section.tag not in SUNG or bool(section.phrases) for section in again]
        return tidy if laid_out(again) == tidy and (not all(words) or parse(tidy)) else None
    except LyricsError:
        return None


@dataclass
class _Healing:
    """A song that is being healed, and how often each section is to be sung."""

    sections: list[Begun] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    phrases: int = 0
    spaced: bool = False

    def begin(self, tag: str, line: int, bare: bool = False) -> None:
        """Begin a section."""
        self.sections.append(Begun(tag, line, bare))
        self.times.append(1)
        if len(self.sections) > MAX_SECTIONS:
            raise TooMuchError(line, f"Tidy heals songs of at most {MAX_SECTIONS} sections.")

    def sing(self, words: str, line: int) -> None:
        """Add words, under a verse if nobody sings."""
        for phrase in (part for whole in phrases_of(words) for part in marks.without_labels(whole)):
            if not self.sections or self.sections[-1].tag not in SUNG:
                self.begin("verse", line)
            self.spaced = self.spaced or marks.is_spaced(phrase)
            self._add(repeats.written_out(phrase, line), phrase, line)

    def _add(self, written: list[str] | int, phrase: str, line: int) -> None:
        """Phrases; a number repeats the phrase before it, or all of a section that it begins."""
        section = self.sections[-1].phrases
        if isinstance(written, list):
            section.extend(written)
        elif section:
            written = section[-1:] * (written - 1)
            section.extend(written)
        else:
            self.times[-1], written = written, []
        self._count(len(written), line)

    def _count(self, more: int, line: int) -> None:
        self.phrases += more
        if self.phrases > MAX_PHRASES:
            raise TooMuchError(line, f"Tidy heals songs of at most {MAX_PHRASES:,} phrases.")

    def finished(self) -> tuple[Section, ...]:
        """All sections; those without words have those of the last one of their name.

        A heading directly above another one of the same name is that one's.
        """
        words_of: dict[str, list[str]] = {}
        following = [*(begun.tag for begun in self.sections), ""][1:]
        kept = []
        for begun, times, after in zip(self.sections, self.times, following, strict=True):
            phrases = begun.phrases or words_of.get(begun.tag, [])
            if times > 1 and not phrases:
                raise repeat_error(f'"x{times}"', begun.line)
            if begun.tag not in SUNG or phrases or begun.tag != after:
                kept.append(begun)
            words_of[begun.tag] = phrases
            self._count(len(phrases) * times - len(begun.phrases), begun.line)
            begun.phrases = phrases * times
        self.sections = kept
        if self.spaced:
            for begun in self.sections:
                begun.phrases = [marks.closed_up(phrase) for phrase in begun.phrases]
        return tuple(begun.section for begun in self._without_repeated_music())

    def _without_repeated_music(self) -> list[Begun]:
        kept = list(self.sections)
        for run in repeated_music(self.sections):
            run[0].tag = length_of_run(run)[1]
            kept = [begun for begun in kept if all(begun is not other for other in run[1:])]
        return kept
