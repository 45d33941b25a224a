"""Clips of a list that cannot be read: what is said of them, and whether they are tried again."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import findings_of
from support.sentences import assert_one_sentence

NO_AUDIO = "/clips/{}.wav is no audio that ComfyUI can read; convert it to FLAC."
OTHER = {
    "forbidden": "SongListError: clips/forbidden.wav cannot be opened (Permission denied); give ComfyUI "
    "the right to read it.",
    "bad disk": "SongListError: clips/bad disk.wav cannot be opened (Input/output error); look at its "
    "disk.",
    "channels change": "SongListError: /clips/channels change.wav cannot be decoded (Sizes of tensors must "
    "match except in dimension 1); convert it to FLAC.",
    "no memory": "MemoryError: no memory for the samples",
}


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What clips.py saw."""
    return findings_of("clips.py")


@pytest.mark.parametrize("name", ["no stream", "damaged", "unknown codec"])
def test_a_file_without_sound_is_called_so_and_not_read_again(findings: dict[str, Any], name: str):
    sentence = NO_AUDIO.format(name)
    assert findings[name] == [f"SongListError: {sentence}"] * 2
    assert_one_sentence(sentence)


@pytest.mark.parametrize("name", OTHER)
def test_another_error_says_what_it_is_and_is_over_when_its_cause_is(findings: dict[str, Any], name: str):
    assert findings[name] == [OTHER[name], ""]
