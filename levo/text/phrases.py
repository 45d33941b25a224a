"""Phrases: where words are cut, what is taken off them, how they are joined, and how long they may last.

Knows no sections.
"""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import pairwise

from .lines import CJK, HAN, HANGUL, KANA, UNSPACED
from .unicode import composed

SECONDS_PER_SYLLABLE = 0.33
SECONDS_PER_CJK_CHARACTER = 0.35
SECONDS_PAUSE = 0.6
MIN_PHRASE_SECONDS = 2.0

_SMALL_KANA = re.compile("[ぁぃぅぇぉゃゅょゎァィゥェォャュョヮ]")
_VOWELS = re.compile("[aeiouyæœøıаеиоуыэюяєіαεηιουω]+")
_STOP_IN_ASCII_QUOTES = re.compile(r"(?<!\.)(\.+)([\"')]+)(?=\s|$)")
_CLOSING = re.compile(r"[\"')]+(?:\s|$)")
_BREAKS = re.compile(r"[;\n]|\.{2,}")
_STOP = re.compile(r"\.")
_LEADING = re.compile(r"(?:[\s,;:.、]|-(?!\d))+")
_TRAILING = " ,;:.!?-、¿¡"


def phrases_of(words: str) -> list[str]:
    """Split words at full stops, semicolons and ellipses; pieces without a letter or digit are dropped."""
    words = _BREAKS.sub("\n", _STOP_IN_ASCII_QUOTES.sub(r"\2\1", words))
    pieces = map(_tidy, _STOP.sub(_break_or_stop, words).split("\n"))
    return [phrase for phrase in pieces if sounds(phrase)]


def sounds(words: str) -> bool:
    """Whether there is a letter or digit to sing."""
    return any(map(str.isalnum, words))


def joined(phrases: tuple[str, ...]) -> str:
    """Phrases in the strict format, such as "One phrase. Another phrase."."""
    parts = list(phrases[:1])
    for before, after in pairwise(phrases):
        parts += ["." if _joins_without_space(before, after) else ". ", after]
    return "".join(parts) + ("" if _is_chinese(phrases[-1]) else ".")


def phrase_seconds(phrase: str) -> float:
    """A rough length in seconds: a rule of thumb, not a promise."""
    characters = len(CJK.findall(phrase)) - len(_SMALL_KANA.findall(phrase))
    # Decomposing leaves the plain vowel under an accent; Korean is counted and gone by then.
    rest = unicodedata.normalize("NFD", composed(CJK.sub(" ", phrase).lower()))
    syllables = sum(
        len(_VOWELS.findall(word)) or math.ceil(len(word) / 3) for word in rest.split() if sounds(word)
    )
    sung = characters * SECONDS_PER_CJK_CHARACTER + syllables * SECONDS_PER_SYLLABLE
    return max(MIN_PHRASE_SECONDS, sung + SECONDS_PAUSE)


def _break_or_stop(match: re.Match[str]) -> str:
    """A stop ends a phrase before a space, beside CJK and in "end.Next", but not in "3.5" or "a.m"."""
    text, at = match.string, match.start()
    before, after = text[at - 1 : at].strip(), text[at + 1 : at + 2].strip()
    if not after or (not before and not after.isdigit()) or CJK.match(before) or CJK.match(after):
        return "\n"
    word = text[max(0, at - 2) : at]
    return "\n" if len(word) == 2 and word.isalpha() and word.islower() and after.isupper() else "."


def _tidy(phrase: str) -> str:
    # Markdown taken off a line can leave an accent behind the letter it now belongs to.
    phrase = _without_lone_openings(composed(" ".join(phrase.split())).rstrip(_TRAILING))
    core = phrase.rstrip(".\"')")
    phrase = core + phrase[len(core) :].replace(".", "")
    leading = _LEADING.match(phrase)
    phrase = phrase[leading.end() :] if leading else phrase
    return phrase if KANA.search(phrase) else phrase.replace("、", ",")


def _without_lone_openings(phrase: str) -> str:
    """Spanish opens a question with a mark of its own; without the closing one it is nothing to read."""
    for opening, closing in ("¿?", "¡!"):
        end = phrase.rfind(closing) + 1
        phrase = phrase[:end] + phrase[end:].replace(opening, "")
    return " ".join(phrase.split())


def _is_chinese(phrase: str) -> bool:
    return bool(HAN.search(phrase)) and not KANA.search(phrase) and not HANGUL.search(phrase)


def _is_unspaced(phrase: str) -> bool:
    return bool(UNSPACED.search(phrase)) and not HANGUL.search(phrase)


def _joins_without_space(before: str, after: str) -> bool:
    """Chinese and Japanese phrases meet at a bare stop, if it can be told from a stop inside a word."""
    unspaced = UNSPACED.match(before[-1]) or UNSPACED.match(after[0])
    plain = bool(unspaced) and not _CLOSING.match(after)
    return plain and _is_unspaced(before) and _is_unspaced(after)
