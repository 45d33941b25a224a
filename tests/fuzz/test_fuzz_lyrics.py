"""Any text at all: parse and Tidy give a song or a sentence, keep every sung word, and settle at once."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from levo.text import editing
from levo.text.lyrics import SUNG, TAGS, LyricsError, parse

FIXED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def each(listed: str) -> list[str]:
    return listed.split("¶")


# What people paste, in pieces between ¶. Words that are sung are numbered, so that each can be found.
HEADINGS = each(
    "[verse]¶[chorus]¶[bridge]¶[Verse 2]¶[intro]¶[inst-long]¶[Outro]¶Chorus:¶**Bridge**¶## Verse 1¶"
    "(Chorus)¶Припев:¶【副歌】¶サビ¶Estribillo:¶Strophe 2¶Ritornello¶1절¶Final Chorus"
    "¶**Verse 1** (soft)¶[silence]"
)
ODD_HEADINGS = each(
    "[Hook]¶[solo]¶[pre-chorus]¶[zzz]¶[Chorus x2]¶Guitar Solo¶Verse 1 - soft¶(Refrain)¶[¶]¶[]¶Chorus (x2)"
)
MARKS = each(
    "x2¶(x3)¶3x¶×2¶х2¶(bis)¶(twice)¶, X2¶(repeat)¶[00:10.00]¶00:10.50¶<00:01.20>¶(0:15)¶Male:¶(Female)¶"
    "男：¶[Both]¶[ti:Song]¶(男)¶x0¶x99¶*2¶[x2]¶||:¶:|¶1x¶(2x¶x 3"
)
NOISE = each(
    ".¶。¶।¶۔¶،¶?¶!¶¿¶¡¶;¶；¶,¶、¶:¶…¶-¶—¶--¶(¶)¶\"¶'¶”¶’¶*¶**¶_¶#¶>¶- ¶~¶/¶|¶♪¶🎵¶&¶<¶>¶"
    "\\¶\\n¶\\\\n¶&amp;¶&#39;¶"
    '<br>¶<b>¶</b>¶&lt;¶\\u0301¶\\"¶\u0301¶\u0327¶\u200b¶\u3000¶\xa0¶\t¶\ufeff¶\x00¶海¶海 风 吹¶か'
    "¶한¶BMW X5¶"
    "3.5¶U.S."
)
CHARACTERS = st.text(max_size=4)
SEPARATORS = st.sampled_from(["", " ", "\n", "\n\n", "\r\n", " ; ", "; ", ". "])


def pasted(*lots: list[str]) -> st.SearchStrategy[str]:
    """Texts made of pieces of several lots, with something between them."""
    piece = st.one_of(*(st.sampled_from(lot) for lot in lots), CHARACTERS)
    parts = st.lists(st.tuples(piece, SEPARATORS), max_size=14)
    start = st.sampled_from(["", "", "[verse] ", "[verse] word", "[chorus]\n我"])
    return st.builds(lambda first, rest: first + "".join(map("".join, rest)), start, parts)


ANY_TEXT = st.one_of(
    pasted(HEADINGS, ODD_HEADINGS, MARKS, NOISE, ["word", "Two words", "我"]),
    pasted(HEADINGS, NOISE, ["word", "Two words", "我", "мир", "سلام"]),
    st.text(max_size=60),
)
SECTION = re.compile(r"\[(?P<tag>[a-z-]+)\](?: (?P<words>[^\[\]\n\r\t]+))?")


def accepted(text: str):
    """The lyrics of a text, or None if it is refused as it should be."""
    try:
        return parse(text)
    except LyricsError as error:
        assert 0 <= error.line <= 1 + len(re.findall("[\n\r\x0b\x0c\x85\u2028\u2029]", text))
        assert str(error).encode() and len(str(error)) < 400
        return None


@settings(FIXED, max_examples=1000)
@given(ANY_TEXT)
def test_a_text_is_refused_in_a_sentence_or_stays_as_it_becomes(text: str):
    lyrics = accepted(text)
    if lyrics is None:
        return
    assert unicodedata.is_normalized("NFC", lyrics.text)
    for section in re.split(r" ?; {1,2}(?=\[)", lyrics.text):
        match = SECTION.fullmatch(section)
        assert match and match["tag"] in TAGS
        assert (match["tag"] in SUNG) == bool(match["words"])
        assert "  " not in section and ".." not in section
    again = parse(lyrics.text)
    assert again.text == lyrics.text
    assert [s.phrases for s in again.sections] == [s.phrases for s in lyrics.sections]


@settings(FIXED, max_examples=800)
@given(ANY_TEXT)
def test_tidy_heals_at_once_or_says_that_it_cannot(text: str):
    found = editing.report(text)
    if found.problem is None:
        assert parse(found.tidy).text == parse(text).text
    if found.tidy is not None:
        again = editing.report(found.tidy)
        assert again.tidy == found.tidy
        assert again.problem is None or " has no words" in again.problem.reason


# Each word that is sung has a number of its own.
SUNG_LINE = st.lists(
    st.one_of(st.just("WORD"), st.just("WORD"), st.sampled_from(NOISE), st.sampled_from(MARKS)),
    min_size=1,
    max_size=7,
)
SHEET = st.lists(
    st.one_of(st.sampled_from(HEADINGS), SUNG_LINE.map(" ".join), SUNG_LINE.map(" ".join), st.just("")),
    max_size=9,
).map(lambda lines: "\n".join(["[verse] WORD", *lines]))
WORD = re.compile(r"wo[a-j]+rd")


def numbered(sheet: str) -> str:
    """Words of letters only, as a digit beside a mark would be part of it."""
    count = iter(range(10_000))
    letters = str.maketrans("0123456789", "abcdefghij")
    return re.sub("WORD", lambda _: f"wo{str(next(count)).translate(letters)}rd", sheet)


@settings(FIXED, max_examples=800)
@given(SHEET.map(numbered))
def test_no_sung_word_is_lost_added_or_moved(text: str):
    words = WORD.findall(text)
    lyrics = accepted(text)
    if lyrics is not None:
        assert WORD.findall(lyrics.text) == words
    tidy = editing.report(text).tidy
    if tidy is not None:
        assert list(dict.fromkeys(WORD.findall(tidy))) == words


@pytest.mark.parametrize("text", ["\ud83d", "[verse] a \ud83d b", "[verse]\n\udc00", "[verse] \\ud83d x"])
def test_half_a_character_is_a_sentence(text: str):
    assert accepted(text) is None
    assert editing.report(text).problem is not None
