"""Characters of any text: halves that no encoder takes, and Unicode's composed form in linear time.

Knows nothing of what a text means.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

_HALF = re.compile("[\ud800-\udfff]")
# Accents that are made of several.
_SEVERAL = {ord(accent): unicodedata.normalize("NFD", accent) for accent in "\u0344\u0f73\u0f75\u0f81"}


def half_character(text: str) -> re.Match[str] | None:
    """The first half of a character, such as half an emoji: Python takes it for text, no encoder does."""
    return _HALF.search(text)


def half_named(half: str) -> str:
    """Half a character as a sentence names it."""
    return f"half a character (U+{ord(half):04X}, such as a cut emoji leaves)"


def composed(text: str) -> str:
    """Unicode NFC. Python's own takes the square of the time for a long row of accents out of order."""
    if text.isascii():
        return text
    ordered: list[str] = []
    for is_accent, row in groupby(text.translate(_SEVERAL), _is_accent):
        characters = list(row)
        if is_accent:  # the sort keeps the order within a class, so it is the order that NFC itself brings
            characters.sort(key=unicodedata.combining)
        ordered += characters
    return unicodedata.normalize("NFC", "".join(ordered))


def _is_accent(character: str) -> bool:
    return unicodedata.combining(character) > 0
