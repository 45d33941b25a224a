"""Lyrics in the making: what the editor shows, and what a press of Tidy makes of a text."""

from __future__ import annotations

import random

import pytest

from levo.text import editing
from levo.text.lyrics import TAGS, parse

SONG = """[Intro]
[Verse 1]
The kettle hums， the window glows
A neighbour's coat hung out in snow.
[Chorus]
Stay a while (stay a while)"""
TIDY = """[intro-short]

[verse]
The kettle hums, the window glows
A neighbour's coat hung out in snow

[chorus]
Stay a while (stay a while)"""


def healed(text: str) -> str:
    """The text after a press of Tidy; fails unless it then pleases the check and Tidy leaves it alone."""
    tidy = editing.report(text).tidy
    again = editing.report(tidy)
    assert again.problem is None
    assert again.tidy == tidy
    return tidy


def test_good_lyrics_have_no_problem_and_are_laid_out_without_changing_what_the_model_reads():
    found = editing.report(SONG)
    assert found.problem is None
    assert healed(SONG) == TIDY
    assert parse(TIDY).text == parse(SONG).text


def test_strict_text_is_laid_out_too():
    assert healed(parse(SONG).text) == TIDY


def test_sections_say_where_they_begin_and_how_long_they_may_be():
    found = editing.report(SONG)
    assert [(section.tag, section.line) for section in found.sections] == [
        ("intro-short", 1),
        ("verse", 2),
        ("chorus", 5),
    ]
    assert found.seconds == parse(SONG).seconds > 10


@pytest.mark.parametrize(
    ("text", "line", "tidy"),
    [
        ("[verse]\nA\n[Pre-Chorus]\nB", 3, "[verse]\nA\n\n[verse]\nB"),
        ("[verse]\nA\nGuitar Solo\n[chorus]\nB", 3, "[verse]\nA\n\n[inst-short]\n\n[chorus]\nB"),
        ("## Hook\nA", 1, "[chorus]\nA"),
        ("(Refrain)\nA", 1, "[chorus]\nA"),
        ("Refrain: A", 1, "[chorus]\nA"),
        ("[vers]\nA", 1, "[verse]\nA"),
        ("Good morning\n[chorus]\nA", 1, "[verse]\nGood morning\n\n[chorus]\nA"),
        ("[intro]\nGood morning", 2, "[intro-short]\n\n[verse]\nGood morning"),
        ("[verse]\nla la x2\nB", 2, "[verse]\nla la\nla la\nB"),
        ("[verse]\n(la la x3)", 2, "[verse]\n(la la)\n(la la)\n(la la)"),
        ("[verse]\n雨水替我翻过一页。 x2", 2, "[verse]\n雨水替我翻过一页\n雨水替我翻过一页"),
        ("[chorus]\nA\n[verse]\nB\n[chorus]", 5, "[chorus]\nA\n\n[verse]\nB\n\n[chorus]\nA"),
    ],
)
def test_tidy_heals_what_can_be_guessed(text: str, line: int, tidy: str):
    assert editing.report(text).problem.line == line
    assert healed(text) == tidy


@pytest.mark.parametrize("text", ["[zzz]\nA", "[chorus x2]\nA", "[verse\nA", "verse]\nA", ""])
def test_tidy_is_not_offered_where_nobody_can_guess(text: str):
    found = editing.report(text)
    assert found.problem is not None
    assert found.tidy is None


def test_a_fault_leaves_the_sections_above_it():
    found = editing.report("[intro]\n[verse]\nA\n[zzz]\nB\n[chorus]\nC")
    assert [section.tag for section in found.sections] == ["intro-short", "verse"]
    assert found.problem.line == 4


def test_a_section_that_is_being_begun_is_shown_and_kept():
    found = editing.report("[verse]\nA\n[chorus]")
    assert [section.tag for section in found.sections] == ["verse", "chorus"]
    assert found.problem.line == 3
    assert found.tidy == "[verse]\nA\n\n[chorus]"


@pytest.mark.parametrize("phrase", ["Chorus", "verse 2", "Pre-Chorus", "# end"])
def test_a_phrase_that_reads_like_a_heading_stays_a_phrase(phrase: str):
    text = f"[verse] One. {phrase}. Two."
    assert parse(healed(text)).text == parse(text).text


def test_no_repeat_fills_the_memory():
    assert editing.report("[verse]\nla x99").tidy.count("la") == editing.MAX_REPEATS


def test_any_text_gets_a_report_and_a_tidy_one_stays_as_it_is():
    pieces = [
        *(f"[{tag}]" for tag in TAGS),
        *"[]()。.;:#*x2\n\n\n ",
        "Hook",
        "la la",
        "x2",
        "雨水",
        "Verse 1:",
    ]
    draw = random.Random(7)
    for _ in range(2_000):
        text = "".join(draw.choices(pieces, k=draw.randrange(20)))
        found = editing.report(text)
        if found.problem is None:
            assert parse(found.tidy).text == parse(text).text, text
            assert editing.report(found.tidy).tidy == found.tidy, text
