"""Lyrics in the making: what an editor shows beside them, and a tidy version that heals what it can.

Heals more than `lyrics.parse` does, by guessing what was meant; so only people who see the result use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .lyrics import REPEATED, SUNG, Lyrics, LyricsError, Section, lines_of, parse, phrases_of, pieces

MAX_REPEATS = 8  # that are written out
MAX_CURES = 100  # of one line


@dataclass(frozen=True)
class Report:
    """What there is to say about lyrics that somebody is writing."""

    sections: tuple[Section, ...]  # as far as they can be told; sung ones may be without words yet
    problem: LyricsError | None  # the first
    tidy: str | None  # the text as it would be tidy; None if it cannot be healed

    @property
    def seconds(self) -> float:
        """A rough length in seconds, of the sections."""
        return Lyrics(self.sections).seconds


def report(text: str) -> Report:
    """Look at lyrics as they are typed; never raises."""
    try:
        parsed, problem = parse(text), None
    except LyricsError as error:
        parsed, problem = None, error
    try:
        sections = healed(text) if parsed is None else parsed.sections
    except LyricsError as error:
        problem = problem or error
        return Report(_before(text, problem.line), problem, None)
    return Report(sections, problem, laid_out(sections) if sections else None)


def healed(text: str) -> tuple[Section, ...]:
    """The sections that were likely meant.

    Unknown sections become their likeliest relative, words without a section a verse, a line with "x3"
    three lines; a section without words gets those of the last one of its name, if there is one.

    Raises LyricsError for what nobody can guess.
    """
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(lines_of(text), start=1):
        for tag, words in _healed_pieces(line, number):
            if tag:
                found.append((tag, number, []))
            for phrase in phrases_of(words):
                if not found or found[-1][0] not in SUNG:
                    found.append(("verse", number, []))
                found[-1][2].extend(_written_out(phrase, found[-1][2]))
    words_of: dict[str, list[str]] = {}
    for tag, _, phrases in found:
        if tag in SUNG:
            phrases.extend([] if phrases else words_of.get(tag, []))
            words_of[tag] = list(phrases)
    return tuple(Section(tag, tuple(phrases), number) for tag, number, phrases in found)


def laid_out(sections: Iterable[Section]) -> str:
    """Sections as people write them: a heading, one phrase a line, an empty line between sections.

    The strict text where a phrase would be taken for a heading.
    """
    sections = tuple(sections)
    lacking = any(section.tag in SUNG and not section.phrases for section in sections)
    sheet = "\n\n".join("\n".join([f"[{section.tag}]", *section.phrases]) for section in sections)
    strict = Lyrics(sections).text
    try:
        return sheet if lacking or parse(sheet).text == strict else strict
    except LyricsError:
        return strict


def _healed_pieces(line: str, number: int) -> list[tuple[str, str]]:
    for _ in range(MAX_CURES):
        try:
            return list(pieces(line, number))
        except LyricsError as error:
            if error.cure is None:
                raise
            line = line.replace(*error.cure, 1)
    return list(pieces(line, number))


def _written_out(phrase: str, earlier: list[str]) -> list[str]:
    """A phrase as often as it asks for: "la la x2" is "la la" twice; "x2" alone the last one once more."""
    asked = REPEATED.search(phrase)
    if not asked:
        return [phrase]
    times = min(int("".join(filter(str.isdecimal, asked[0]))), MAX_REPEATS)
    words = phrase[: asked.start()].rstrip(" ,")
    words += ")" * (words.count("(") - words.count(")"))
    if any(map(str.isalnum, words)):
        return [words] * max(times, 1)
    return earlier[-1:] * (times - 1) if earlier else [phrase]


def _before(text: str, line: int) -> tuple[Section, ...]:
    """The sections above a line that is at fault."""
    while line > 0:
        try:
            return parse("\n".join(lines_of(text)[: line - 1])).sections
        except LyricsError as error:
            line = error.line
    return ()
