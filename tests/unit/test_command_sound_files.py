"""Sound to files of the command and back, with what stands in them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import soundfile
import torch

from levo.command.job import FLAC, FLAC24, WAV, WAV24
from levo.command.sound_files import decoded, encoded

TAGS = {"title": "夜 song", "genre": "pop, piano.", "lyrics": "[verse] Hello.", "seed": 7}
SOUND = torch.linspace(-0.9, 0.9, 9_600).repeat(2, 1)


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
        assert (file.title, file.genre) == ("夜 song", "pop, piano.")
        assert json.loads(file.comment) == TAGS
    samples, rate = decoded(data)
    assert rate == 48_000
    assert (samples[0] - SOUND).abs().max() <= error


def test_long_lyrics_are_in_flac_and_not_in_wav():
    tags = {**TAGS, "lyrics": "la " * 2_000}
    with soundfile.SoundFile(io.BytesIO(encoded(SOUND, FLAC, tags))) as file:
        assert json.loads(file.comment) == tags
    with soundfile.SoundFile(io.BytesIO(encoded(SOUND, WAV, tags))) as file:
        assert json.loads(file.comment) == {key: value for key, value in tags.items() if key != "lyrics"}


def test_what_is_too_loud_is_clipped_and_not_turned_over():
    samples, _ = decoded(encoded(torch.tensor([[2.0, -2.0], [0.5, -0.5]]), FLAC, TAGS))
    assert samples[0, 0].tolist() == pytest.approx([1.0, -1.0], abs=2**-14)


def test_what_is_no_sound_is_told(tmp_path: Path):
    path = tmp_path / "clip.mp3"
    path.write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"clip\.mp3 is no audio that libsndfile can read; convert"):
        decoded(path)
