"""The lines about composing: where it is, how fast, how long still, and how it ended."""

from __future__ import annotations

import pytest

from levo.text import status

LYRICS = "[intro-short] ; [verse] Paper boats on a silver stream. ; [outro-short]"
FRAMES, TOTAL = 60 * 25, 60 * 25 + 250


def line(done: int, pace: float, lyrics: str = LYRICS) -> str:
    return status.under_way(done, TOTAL, FRAMES, pace, status.sections_of(lyrics))


def test_a_line_tells_section_seconds_pace_and_the_rest():
    assert line(150, 12.5) == (
        "about [verse], section 2 of 3 - 0:06 of at most 1:00 - 0.5x real time - about 0:34 left"
    )


@pytest.mark.parametrize(
    ("seconds", "section"),
    [(0, "[intro-short], section 1"), (5, "[verse], section 2"), (50, "[outro-short]")],
)
def test_the_section_follows_the_estimate_and_stays_at_the_last(seconds: int, section: str):
    assert f"about {section}" in line(max(1, seconds * 25), 10.0)


def test_after_the_last_section_the_limit_tells_the_rest():
    assert line(50 * 25, 25.0).endswith("0:50 of at most 1:00 - 1x real time - at most 0:20 left")


def test_lyrics_longer_than_the_limit_are_not_waited_for():
    assert "at most 1:0" in line(100, 25.0, "[verse] la." + " ; [inst-long]" * 9)


def test_the_other_tracks_come_after_the_last_second():
    assert line(FRAMES, 25.0).endswith("1:00 of at most 1:00 - 1x real time - at most 0:10 left")
    assert line(FRAMES + 125, 25.0) == (
        "1:00 - now the end of vocals and accompaniment - at most 0:05 left"
    )


def test_an_instrumental_has_no_sections():
    assert line(250, 50.0, ".") == "0:10 of at most 1:00 - 2x real time - at most 0:30 left"


def test_the_end_of_one_take():
    assert status.finished([2800], [True], 50.0, 61.0) == (
        "ended by itself at 1:52 - composed in 1:01, 2x real time"
    )


def test_the_ends_of_several_takes():
    assert status.finished([250, 500], [True, False], 12.5, 60.0) == (
        "take 1 ended by itself at 0:10, take 2 cut at the limit, not ended, at 0:20"
        " - composed in 1:00, 0.5x real time"
    )


def test_noise_of_the_tiny_model_is_named():
    assert status.finished([250], [True], 50.0, 2.0, tiny=True) == (
        "ended by itself at 0:10 - composed in 0:02, tiny model: noise"
    )


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "0:59"), (135, "2:15"), (600, "10:00")])
def test_clock(seconds: float, text: str):
    assert status.clock(seconds) == text
