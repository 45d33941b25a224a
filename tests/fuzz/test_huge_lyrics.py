"""Lyrics put together from odd pieces, and pastes of a hundred thousand characters."""

from __future__ import annotations

import random
import re
import time
import unicodedata

import pytest

from levo.text.lyrics import SUNG, TAGS, LyricsError, parse

FRAGMENTS = """
[verse] [Chorus¤2] [bridge ] [ [intro] [inst-long] [silence] [solo] 【副歌】 Verse¤1: Chorus (Bridge)
**Chorus** #¤ 主歌： Silence x2 ×2 Repeat¤ ¤;¤ ; ； .¤ . ... … 。 ， 、 ! ? ？ : - — —— , " ' ” ’ ( ) （ ）
* ** _ # > • ♪ 🎵 ~ ・ é か ゛ ー 々 ﾊﾟ word Word two¤words a B
3 .5 a.b U.S. 灯火 我 君を 안녕 мир ไทย سلام ¤ ¤¤
"""
FRAGMENTS = [fragment.replace("¤", " ") for fragment in FRAGMENTS.split()]
FRAGMENTS += ["\n", "\r\n", "\r", "\t", "\u3000", "\xa0", "\u200b", "\ufeff", "\u2028", "\x00", "�"]
FRAGMENTS += ["́", "゙", "̸", ";", "Å", "하"]
NORMAL_SECTION = re.compile(r"\[(?P<tag>[a-z-]+)\](?: (?P<words>[^\[\];\n\r\t]+))?")


def fuzzed(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    starts = ["", "", "[verse] ", "[verse] word", "[chorus]\n我"]
    # Half of the texts have no square brackets but the first, so that many are accepted.
    plain = [fragment for fragment in FRAGMENTS if not set("[]【】×") & set(fragment) and fragment != "x2"]
    return [
        generator.choice(starts)
        + "".join(generator.choices(generator.choice([FRAGMENTS, plain, plain]), k=generator.randrange(20)))
        for _ in range(count)
    ]


def test_any_text_is_either_strict_and_stable_or_refused():
    accepted = 0
    for text in fuzzed(0, 4000):
        try:
            lyrics = parse(text)
        except LyricsError as error:
            assert 0 <= error.line <= 1 + sum(map(text.count, "\n\r\u2028"))
            str(error).encode()
            continue
        accepted += 1
        for section in lyrics.text.split(" ; "):
            match = NORMAL_SECTION.fullmatch(section)
            assert match and match["tag"] in TAGS, ascii(text)
            assert (match["tag"] in SUNG) == bool(match["words"]), ascii(text)
            assert "  " not in section and ".." not in section, ascii(text)
        assert unicodedata.is_normalized("NFC", lyrics.text), ascii(text)
        again = parse(lyrics.text)
        assert again.text == lyrics.text, ascii(text)
        assert [s.phrases for s in again.sections] == [s.phrases for s in lyrics.sections], ascii(text)
        assert lyrics.seconds == again.seconds > 0, ascii(text)
    assert accepted > 1000


LONG = 100_000
UNITS = '.|。|[|]|(|)|."|。”|…’|-|> |*|*a|_a_|# |1|x1|[1x| |\n|;|[verse] a |la la, |我|我。|[verse]\nabc\n'
UNITS += "|a\u0301|'|\u200b|. |Verse 1: |1x |、|*1|(a|**a** "


@pytest.mark.parametrize("unit", UNITS.split("|"))
@pytest.mark.parametrize("start", ["", "[verse] a", "["])
def test_a_huge_paste_takes_linear_time(unit, start):
    text = start + unit * (LONG // len(unit))
    for pasted in (text + "]", text + "x"):
        begun = time.process_time()
        try:
            assert parse(pasted).sections
        except LyricsError as error:
            assert len(str(error)) < 400
        # A quadratic pattern needs minutes here, a linear one well under a second.
        assert time.process_time() - begun < 4
