"""Repeats: the marks that ask for one, such as "(x2)" and "3x Oh", and the words written out.

Tells them from words such as "BMW X5", "size 3X" and "5×5". Knows no sections.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .lines import CJK_RANGE
from .phrases import phrases_of, sounds
from .section_names import AGAIN
from .tags import repeat_error, shortened

MAX_REPEATS = 8  # that Tidy writes out
MOST_MARKS = 20  # in one phrase

_SIGN = "[xXхХ×✕✖*]"
_TIMES = "times?|veces|vez|vezes|fois|mal|volte|volta|раза?|раз|次|遍|回|번|번씩|x"
_COUNTS = {
    word: count
    for count, words in {
        2: "two dos duas dois deux zwei due два 两 兩 二 두 twice bis zweimal дважды",
        3: "three tres três trois drei tre три 三 세 thrice ter dreimal трижды",
        4: "four cuatro quatro quatre vier quattro четыре 四 네",
        5: "five cinco cinq fünf cinque пять 五 다섯",
    }.items()
    for word in words.split()
}
_AGAIN = "|".join(AGAIN.split(", "))
_COUNT_WORDS = "|".join(sorted(_COUNTS, key=len, reverse=True))
_COUNTED = rf"(?:\d{{1,2}}|{_COUNT_WORDS})\s?(?:{_TIMES})"
_DIGITS = rf"{_SIGN}\s?\d{{1,2}}\s?(?:{_TIMES})?|\d{{1,2}}\s?(?:{_SIGN}|{_TIMES})"
_ALONE = (
    rf"(?:{_DIGITS}|bis|(?:{_AGAIN})(?:[\s:,]{{0,2}}"
    rf"(?:{_COUNTED}|twice|chorus|verse|all|line|both|this line|to fade|and fade))?)"
)
_IN_BRACKETS = rf"\(\s?(?:{_ALONE}|{_COUNTED}|ter|twice|thrice|zweimal|dreimal|дважды|трижды)\s?\)"
_FREE_BEFORE = rf"(?:(?<!\w)|(?<=[{CJK_RANGE}]))(?<!\d\s)"
_FREE_AFTER = rf"(?:(?!\w)|(?=[{CJK_RANGE}]))"
_AT_END = r"(?=[\s,!?)\"']*$|\s?[,)])"
_REPEAT = re.compile(
    rf"{_FREE_BEFORE}[xх]\s?\d{{1,2}}{_FREE_AFTER}"  # "la x2"; "BMW X5" is none
    rf"|(?<!\d)(?<!\d\s)(?:[×✕✖]\s?\d{{1,2}}(?!\d)|\*\s?\d{{1,2}}{_AT_END})"
    rf"|(?P<count>(?:(?<![\w.,:-])|(?<=[{CJK_RANGE}]))\d{{1,2}}\s?[xх×✕✖](?!\s?\d){_FREE_AFTER})"  # "3x Oh"
    rf"|(?<=[,!?)\"'、])\s?(?:[XХ]\s?\d{{1,2}}|\d{{1,2}}\s?[XХ]){_AT_END}"  # "la, X2"
)
_NOTHING_ELSE = re.compile(rf"[(\s]*{_ALONE}[)\s]*|{_IN_BRACKETS}", re.IGNORECASE)
_BETWEEN_BARS = re.compile(r"\|{1,2}\s?:|:\s?\|{1,2}|[𝄆𝄇]")
_ROUND_REPEAT = re.compile(_IN_BRACKETS, re.IGNORECASE)


@dataclass(frozen=True)
class Repeat:
    """A mark in a phrase: its place, how often it asks for, and whether it stands within words."""

    start: int
    end: int
    times: int
    within: bool = False


def repeat_in(phrase: str) -> Repeat | None:
    """The first mark in a phrase that asks for a repeat."""
    if _NOTHING_ELSE.fullmatch(phrase):
        return Repeat(0, len(phrase), _times(phrase))
    matches = [match for match in (_REPEAT.search(phrase), _ROUND_REPEAT.search(phrase)) if match]
    if not matches:
        return None
    first = min(matches, key=lambda match: match.start())
    before, after = phrase[: first.start()], phrase[first.end() :]
    # "10x more" may be words: nobody can say which of them are to be repeated.
    plain = "count" in first.groupdict() and first["count"]
    within = bool(plain) and before[-1:].isspace() and sounds(before[-2:]) and sounds(after[:2])
    return Repeat(first.start(), first.end(), _times(first[0]), within)


def _times(mark: str) -> int:
    digits = re.search(r"\d+", mark)
    if digits:
        return int(digits[0])
    words = re.findall(r"\w+", mark.lower())
    return next((_COUNTS[count] for word in words for count in (word, word[0]) if count in _COUNTS), 2)


def asks_for_repeat(phrase: str) -> bool:
    """Whether there is a mark in a phrase that asks for a repeat."""
    return repeat_in(phrase) is not None or bool(_BETWEEN_BARS.search(phrase))


def written_out(phrase: str, line: int) -> list[str] | int:
    """A phrase as often as it asks for: "la la x2" is "la la" twice; a number if it is nothing but a mark.

    Raises LyricsError for marks that nobody can be sure of.
    """
    phrases: list[str] = []
    if _BETWEEN_BARS.search(phrase):
        raise repeat_error(f'"{shortened(phrase)}"', line)
    rest = [phrase]
    steps = 0
    while rest:
        part = rest.pop(0)
        mark = repeat_in(part)
        if mark is None:
            phrases.append(part)
            continue
        steps += 1
        if mark.within or steps > MOST_MARKS:
            raise repeat_error(f'"{shortened(part)}"', line)
        before, after = _halves(part, mark)
        times = max(1, min(mark.times, MAX_REPEATS))
        if before:
            phrases += before * times
            rest = after + rest
        elif after:
            phrases += [*after[:1]] * times
            rest = after[1:] + rest
        elif phrases:
            phrases += phrases[-1:] * (times - 1)
        else:
            return times
    return phrases


def _halves(phrase: str, mark: Repeat) -> tuple[list[str], list[str]]:
    """The words before and after a mark, each with its round brackets closed."""
    before, after = phrase[: mark.start], phrase[mark.end :]
    missing = max(0, before.count("(") - before.count(")"))
    before = before.rstrip(" ,") + ")" * missing
    after = after.replace(")", "", missing) if missing else after
    return phrases_of(before), phrases_of(after)
