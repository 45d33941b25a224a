"""Lyrics in a published form come through byte for byte, with the sections that they have."""

from __future__ import annotations

import pytest

from levo.text import editing
from levo.text.lyrics import parse

CHINESE = (
    "[intro-medium]{} [verse] 灯火落在旧巷口.雨声敲着木窗头{} [chorus] 若你听见风在唱{} [outro-medium]"
)
ENGLISH = "[intro-short]{} [verse] Paper boats. Silver stream.{} [inst-medium]{} [chorus] Hold on, hold on."
SEPARATORS = [" ;", ";", " ; "]


@pytest.mark.parametrize("song", [CHINESE, ENGLISH])
@pytest.mark.parametrize(
    "separators", [(a, b, c) for a in SEPARATORS for b in SEPARATORS for c in SEPARATORS]
)
def test_a_song_with_the_published_separators_stays_as_it_is(song: str, separators: tuple[str, ...]):
    text, usual = song.format(*separators), song.format(" ;", " ;", " ;")
    lyrics = parse(text)
    assert lyrics.text == text
    assert parse(lyrics.text) == lyrics
    assert lyrics.sections == parse(usual).sections
    assert lyrics.seconds == parse(usual).seconds


@pytest.mark.parametrize("stop", [";", " ;", "; "])
def test_a_semicolon_between_chinese_phrases_stays_and_is_a_stop(stop: str):
    text = f"[verse] 这自由是单选题{stop}难道你没听见.那骨髓里的哭泣 ; [outro-short]"
    assert parse(text).text == text
    assert parse(text).sections[0].phrases == ("这自由是单选题", "难道你没听见", "那骨髓里的哭泣")


def test_space_around_a_published_song_is_not_of_it():
    assert parse("\n [intro-short]; [verse] 灯火\n").text == "[intro-short]; [verse] 灯火"


@pytest.mark.parametrize(
    ("text", "strict"),
    [
        ("[intro];[verse] a", "[intro-short] ; [verse] a."),
        ("[intro-short]; [verse] Paper boats", "[intro-short] ; [verse] Paper boats."),
        ("[intro-short] ;   [verse] 灯火", "[intro-short] ; [verse] 灯火"),
        ("[intro-short]; [verse] 灯火，海", "[intro-short] ; [verse] 灯火,海"),
        ("[intro-short]\n[verse] 灯火;海", "[intro-short] ; [verse] 灯火.海"),
        ("[verse] one; two.", "[verse] one. two."),
    ],
)
def test_what_is_in_no_published_form_becomes_strict(text: str, strict: str):
    assert parse(text).text == strict


def test_tidy_changes_nothing_of_what_the_model_reads():
    text = CHINESE.format(";", " ;", ";")
    assert editing.report(text).problem is None
    assert parse(editing.report(text).tidy).text == text
    assert "\n" in editing.report(CHINESE.format(" ;", " ;", " ;")).tidy
