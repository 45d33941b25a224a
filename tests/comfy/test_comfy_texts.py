"""Odd texts on the nodes that take them, and questions of the editors that take too long."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import findings_of
from support.sentences import assert_one_sentence

NO_LYRICS = "LeVo Conditioning has no lyrics; connect a LeVo Lyrics node or set kind to instrumental."
HALF = "half a character (U+D83D, such as a cut emoji leaves)"
HALF_TAG = f"Description field '{{}}' has {HALF}; delete it or type it anew."
HALF_WORD = f"Lyrics line 1: {HALF} is in it; delete it or type it anew."
MADE = {
    "lyrics": {"half": HALF_WORD},
    "description": {"None": "pop.", "half": HALF_TAG.format("tags")},
    "gender": {"None": "pop.", "half": HALF_TAG.format("gender")},
    "song": {"None": NO_LYRICS, "half": HALF_WORD},
    "tags": {"None": "lyrics '[verse] la.', tags ''", "half": HALF_TAG.format("description")},
    "instrumental": dict.fromkeys(
        ("None", "a number", "a list", "an empty list", "bytes", "half"), "lyrics '.', tags 'pop.'"
    ),
}
NEEDS = {
    "lyrics": "LeVo Lyrics needs a text as text, not {}; connect a node that gives text.",
    "description": "LeVo Description needs a text as tags, not {}; connect a node that gives text.",
    "gender": "LeVo Description needs a text as gender, not {}; connect a node that gives text.",
    "song": "LeVo Conditioning needs a text as lyrics, not {}; connect a node that gives text.",
    "tags": "LeVo Conditioning needs a text as description, not {}; connect a node that gives text.",
}
TYPES = {"None": "nothing", "a number": "int", "a list": "list", "an empty list": "list", "bytes": "bytes"}


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What texts.py saw."""
    return findings_of("texts.py")


@pytest.mark.parametrize("node", MADE)
def test_what_is_no_text_is_told_in_a_sentence_where_it_matters(findings: dict[str, Any], node: str):
    for odd, said in findings["nodes"][node].items():
        assert said == (MADE[node].get(odd) or NEEDS[node].format(TYPES[odd])), odd
        if node in NEEDS and said not in ("pop.", MADE["tags"]["None"]):
            assert_one_sentence(said)


def test_lyrics_of_any_length_are_checked_and_very_long_ones_not_before_they_run(
    findings: dict[str, Any],
):
    checks = findings["checks"]
    ((_, sentence),) = {tuple(checks[name]) for name in ("short", "longest")}
    assert sentence.startswith("Lyrics line 1: [zzz] is not a section")
    assert checks["short"] == [sentence, sentence]
    assert checks["too long"] == [True, sentence]


def test_nothing_that_is_wrong_with_a_checkpoint_reaches_the_lyrics_panel(findings: dict[str, Any]):
    limits = findings["limits"]
    assert limits.pop("good") == 150
    assert len(limits) == 17
    assert set(limits.values()) == {270}


def test_a_question_that_takes_too_long_is_told_so_and_the_next_is_answered(findings: dict[str, Any]):
    for seconds, status, answer in findings["slow"]["together"]:
        assert 0.7 < seconds < 1.5
        assert status == 413
        assert_one_sentence(answer["error"].replace("0.8 s", "a second"))
        assert "takes longer than the 0.8 s that a check while you type may take;" in answer["error"]
    assert findings["slow"]["after"][1:] == [200, {"answered": "0"}]
