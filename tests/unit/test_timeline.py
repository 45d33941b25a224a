"""Section marks: in order, to scale, and only as far as the song goes."""

from __future__ import annotations

import pytest

from levo.text.lyrics import parse
from levo.text.timeline import marks

LYRICS = parse("[intro-short] ; [verse] One phrase. Another phrase. ; [outro-medium]")
INTRO, VERSE, OUTRO = (section.seconds for section in LYRICS.sections)
TOTAL = INTRO + VERSE + OUTRO


def starts(seconds: float, ended: bool) -> list[float]:
    return [mark.start for mark in marks(LYRICS, seconds, ended)]


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_sections_fill_a_song_that_ended_by_itself(scale: float):
    assert starts(scale * TOTAL, True) == pytest.approx([0, scale * INTRO, scale * (INTRO + VERSE)])
    assert [mark.tag for mark in marks(LYRICS, TOTAL, True)] == ["intro-short", "verse", "outro-medium"]


def test_a_section_has_its_words_and_music_has_none():
    assert [mark.words for mark in marks(LYRICS, TOTAL, True)] == ["", "One phrase / Another phrase", ""]


def test_a_song_that_was_cut_short_keeps_the_estimates_and_loses_the_end():
    assert starts(INTRO + 1, False) == pytest.approx([0, INTRO])


def test_a_song_that_was_cut_though_longer_than_estimated_is_filled():
    assert starts(2 * TOTAL, False) == pytest.approx(starts(2 * TOTAL, True))
