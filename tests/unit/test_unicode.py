"""What no encoder takes is told before one is asked, and a row of accents takes no time."""

from __future__ import annotations

import time
import unicodedata

import pytest

from levo.text.lyrics import LyricsError, parse
from levo.text.unicode import composed, half_character


@pytest.mark.parametrize(
    ("text", "line"), [("[verse] rain \ud83d", 1), ("[verse]\r\nla\nla\ude00 la", 3), ("\udfff", 1)]
)
def test_half_a_character_is_refused_with_its_line(text, line):
    with pytest.raises(LyricsError, match=rf"^Lyrics line {line}: half a character \(U\+D") as refusal:
        parse(text)
    assert refusal.value.line == line


def test_only_halves_are_halves():
    whole = "".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, 0x11_0000)))
    assert half_character(whole) is None
    assert all(half_character(f"a{chr(half)}").start() == 1 for half in range(0xD800, 0xE000))


ROWS = ["\u0301\u0316", "\u0316\u0301\u0334", "\u0344\u0316", "\u0f73\u0301", "\u0316"]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("base", ["", "a", "\u00e9", "\ud55c"])
def test_a_row_of_accents_is_composed_as_unicode_does_and_in_no_time(base: str, row: str):
    assert composed(f"{base}{row * 40}b") == unicodedata.normalize("NFC", f"{base}{row * 40}b")
    start = time.process_time()
    composed(base + row * 50_000)
    assert time.process_time() - start < 1
