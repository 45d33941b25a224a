"""Full temporary folders: LeVo Listen says so, and a song is made, but not heard early."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import findings_of
from support.sentences import assert_one_sentence
from support.small_disk import small_disk


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What full_temp.py saw."""
    with small_disk(tmp_path_factory.mktemp("tried") / "disk"):
        pass  # else skipped
    return findings_of("full_temp.py")


def test_the_player_says_what_is_needed_and_free(findings: dict[str, Any]):
    assert_one_sentence(findings["listen"])
    assert (
        "/temp cannot be written (No space left on device): 1.9 MB are needed and 0" in findings["listen"]
    )


def test_nothing_half_written_stays(findings: dict[str, Any]):
    assert findings["left"] == ["filler"]


def test_a_song_says_once_that_it_is_not_heard_early_and_goes_on(findings: dict[str, Any]):
    (note,) = findings["notes"]
    assert_one_sentence(note)
    assert note.startswith("Nothing more is heard early, because ") and "(No space left on device)" in note
    assert findings["sent"] == ["levo.early"]  # of the next song
    assert findings["then"] == 1
