"""Sound to files of the command and back, with what stands in them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import soundfile
import torch
from support.sound_tags import tags_of

from levo.audio.file_tags import BLOCK_BYTES
from levo.command.job import FLAC, FLAC24, WAV, WAV24
from levo.command.sound_files import decoded, encoded

TAGS = {"title": "夜 song", "genre": "pop, piano.", "lyrics": "[verse] Hello.", "seed": 7}
SOUND = torch.linspace(-0.9, 0.9, 9_600).repeat(2, 1)


def told(data: bytes) -> dict[str, str]:
    """What a file says; lyrics of WAV stand under their language."""
    return {name.split("-")[0]: text for name, text in tags_of(data)[0].items()}


@pytest.mark.parametrize(
    ("form", "kind", "subtype", "error"),
    [
        (FLAC, "FLAC", "PCM_16", 2**-15),
        (FLAC24, "FLAC", "PCM_24", 2**-23),
        (WAV, "WAV", "PCM_16", 2**-15),
        (WAV24, "WAV", "PCM_24", 2**-23),
    ],
)
def test_sound_and_tags_come_back(form: str, kind: str, subtype: str, error: float):
    data = encoded(SOUND, form, TAGS)
    assert data == encoded(SOUND, form, TAGS)  # nothing of the time or the machine
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.format, file.subtype, file.samplerate) == (kind, subtype, 48_000)
        assert (file.title, file.genre) == ("夜 song", "pop, piano")
    texts = told(data)
    assert (texts["title"], texts["genre"], texts["seed"]) == ("夜 song", "pop, piano", "7")
    assert texts["lyrics"] == "[verse]\nHello"
    assert json.loads(texts["comment"]) == TAGS
    samples, rate = decoded(data)
    assert rate == 48_000
    assert (samples[0] - SOUND).abs().max() <= error


@pytest.mark.parametrize("form", [FLAC, WAV])
def test_long_lyrics_are_whole(form: str):
    song = {**TAGS, "lyrics": "[verse] " + "La la. " * 2_000}
    texts = told(encoded(SOUND, form, song))
    assert json.loads(texts["comment"]) == song
    assert texts["lyrics"].count("La la") == 2_000


def test_more_than_flac_holds_costs_the_tags_and_not_the_song():
    song = {**TAGS, "notes": "x" * BLOCK_BYTES}
    data = encoded(SOUND, FLAC, song)
    assert told(data)["title"] == "夜 song"
    assert (decoded(data)[0][0] - SOUND).abs().max() <= 2**-15


def test_what_is_too_loud_is_clipped_and_not_turned_over():
    samples, _ = decoded(encoded(torch.tensor([[2.0, -2.0], [0.5, -0.5]]), FLAC, TAGS))
    assert samples[0, 0].tolist() == pytest.approx([1.0, -1.0], abs=2**-14)


@pytest.mark.parametrize("kind", ["gone", "folder"])
def test_what_cannot_be_opened_is_not_called_a_sound_of_another_kind(tmp_path: Path, kind: str):
    path = tmp_path / "clip.flac"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(ValueError, match=r"clip\.flac cannot be opened \((No such|Is a dir|Permission)"):
        decoded(path)


def test_what_is_no_sound_is_told(tmp_path: Path):
    path = tmp_path / "clip.mp3"
    path.write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"clip\.mp3 is no audio that libsndfile can read; convert"):
        decoded(path)
