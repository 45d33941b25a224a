"""Marks among the words that nobody sings: time stamps, and with them voices, repeats, letters set apart.

Tells them in a sentence, and says what Tidy makes of a phrase that has them. Knows no sections.
"""

from __future__ import annotations

import re

from .lines import UNSPACED_RANGE
from .phrases import phrases_of
from .repeats import asks_for_repeat
from .tags import LyricsError, repeat_error, shortened
from .voices import labels, voice_error

# ------------------------------------------------------------------ time stamps

_CLOCK = r"(?:\d{1,3}:)?\d{1,3}:\d{2}(?:[.,:]\d{1,3})?"
_NOTE = r"(?:ti|ar|al|au|by|re|ve|lr|la|id|key|tool|length|offset|hash|sign|qq|total|#)"
# What square brackets hold in LRC files: a time, or a note on the song.
_STAMP_IN_BRACKETS = re.compile(rf"\s*(?:{_CLOCK}|{_NOTE}\s*:.*)\s*", re.IGNORECASE | re.DOTALL)
# Times that sheets of words have: of subtitles, of each word, and at the start of a line.
_STAMPS = re.compile(
    rf"{_CLOCK}\s*--?>\s*{_CLOCK}|<{_CLOCK}>|\({_CLOCK}(?:\s*-\s*{_CLOCK})?\)"
    r"|^(?:\d{1,2}:\d{2}:\d{2}|0\d?:\d{2}|\d{2}:\d{2}[.,]\d{1,3})(?:[.,]\d{1,3})?(?:\s*-\s*\d[\d:.,]*)?(?![\d:])"
)


def stamp_error(shown: str, line: int, part: str) -> LyricsError:
    """What is said of a time or a note of a file that holds lyrics with times."""
    kind = "a time stamp" if re.search(r"\d:\d", shown) else "a note on the file"
    return LyricsError(line, f"{shown} is {kind}, which the model cannot read; leave it out.", (part, ""))


def is_stamp(content: str) -> bool:
    """Whether what stands in square brackets is a time, or a note such as "ti:Harbour"."""
    return bool(_STAMP_IN_BRACKETS.fullmatch(content))


# ------------------------------------------------------------------ all marks

_SPACED = re.compile(rf"(?<!\S)(?:[{UNSPACED_RANGE}] ){{2,}}[{UNSPACED_RANGE}](?![^\s,:!?、)\"'])")
_RUN = re.compile(rf"(?<!\S)[{UNSPACED_RANGE}](?: (?:[{UNSPACED_RANGE}](?![^\s,:!?、)\"'])|[,:!?、]+))+")


def refuse(phrase: str, line: int) -> None:
    """Raise LyricsError for what is in a phrase and is not sung."""
    stamp = _STAMPS.search(phrase)
    if stamp:
        raise stamp_error(f'"{stamp[0]}"', line, stamp[0])
    for start, end in labels(phrase):
        raise voice_error(f'"{phrase[start:end].strip()}"', line, phrase[start:end])
    if asks_for_repeat(phrase):
        raise repeat_error(f'"{shortened(phrase)}"', line)
    if is_spaced(phrase):
        advice = "write the words without spaces between their letters"
        raise LyricsError(line, f'"{shortened(phrase)}" is spaced letter by letter; {advice}.')


def is_spaced(phrase: str) -> bool:
    """Whether Chinese or Japanese stands there letter by letter, with a space after each."""
    return bool(_SPACED.search(phrase))


def closed_up(phrase: str) -> str:
    """A phrase without spaces between the letters of Chinese and Japanese."""
    return _RUN.sub(lambda run: run[0].replace(" ", ""), phrase)


def without_labels(phrase: str) -> list[str]:
    """What is sung of a phrase with times and voices: phrases, as a voice begins one."""
    if not _STAMPS.search(phrase) and not labels(phrase):
        return [phrase]
    phrases = []
    for part in phrases_of(_STAMPS.sub(" ", phrase)):
        cut = part
        for start, end in reversed(labels(part)):
            cut = f"{cut[:start]}\n{cut[end:]}"
        phrases += phrases_of(cut)
    return phrases
