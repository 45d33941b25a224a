"""Sound files as they are read back by libsndfile and libav: samples, bits, tags and covers."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from support.sentences import assert_one_sentence

from levo.audio import cover, encode, file_tags
from levo.audio.encode import EncodeError
from levo.audio.file_tags import Cover, FileTags

av = pytest.importorskip("av")

RATE = 48_000
LOSSLESS = [name for name, form in encode.FORMATS.items() if form.bits]
LOSSY = [name for name, form in encode.FORMATS.items() if not form.bits]
WORKFLOW = {"prompt": '{"1": {"text": "\\u00e9"}}', "workflow": '{"nodes": [], "extra": {}}'}
JPEG = cover.covers_of(torch.rand(1, 31, 40, 3, generator=torch.Generator().manual_seed(3)))[0]
SONG = FileTags(
    title="Ärger im Café 夜",
    artist="Me & You",
    genre="pop, piano",
    comment="pop, piano; seed 7",
    lyrics="[verse]\nLa la\n夜\n\n[chorus]\nLo",
    cover=JPEG,
    more=WORKFLOW,
)
NO_SOUND = {"title", "artist", "genre", "comment"}


def noise(channels: int, samples: int, level: float = 0.5) -> torch.Tensor:
    draw = torch.Generator().manual_seed(channels + samples)
    return (torch.rand(channels, samples, generator=draw) * 2 - 1) * level


def tone(samples: int, rate: int) -> torch.Tensor:
    return 0.3 * torch.sin(torch.arange(samples) * (2 * np.pi * 440 / rate)).expand(2, -1)


def read(file: bytes, dtype: str) -> np.ndarray:
    sound, rate = soundfile.read(io.BytesIO(file), dtype=dtype, always_2d=True)
    assert rate == RATE
    return sound.T


def metadata(file: bytes) -> tuple[dict[str, str], list[bytes]]:
    """Texts of a file, and the pictures in it."""
    with av.open(io.BytesIO(file)) as container:
        texts = {**container.metadata, **container.streams.audio[0].metadata}
        pictures = [bytes(next(container.demux(stream))) for stream in container.streams.video]
    return {name.lower(): text for name, text in texts.items()}, pictures


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 70, encode.CHUNK, encode.CHUNK * 2 + 3])
@pytest.mark.parametrize("name", LOSSLESS)
def test_whole_numbers_come_back_as_they_were(name: str, samples: int, channels: int):
    bits = encode.FORMATS[name].bits
    draw = np.random.default_rng(samples)
    steps = draw.integers(-(1 << bits - 1), 1 << bits - 1, (channels, samples))
    file = encode.encode(torch.from_numpy(steps / (1 << bits - 1)).float(), RATE, name)
    assert soundfile.info(io.BytesIO(file)).subtype == f"PCM_{bits}"
    assert np.array_equal(read(file, "int32") >> 32 - bits, steps)


@pytest.mark.parametrize("name", ["FLAC 24-bit", "WAV 24-bit"])
def test_24_bits_have_low_bits_and_are_rounded(name: str):
    sound = noise(2, 5000)
    steps = read(encode.encode(sound, RATE, name), "int32") >> 8
    assert np.abs(steps / (1 << 23) - sound.numpy()).max() <= 0.5 / (1 << 23)
    assert len(np.unique(steps & 255)) == 256


def test_16_bits_are_dithered_so_that_what_is_below_a_step_is_heard():
    quiet = tone(10 * RATE, RATE) * (0.4 / 0.3 / 32_768)  # peaks at 0.4 steps: rounded alone it is silence
    heard = read(encode.encode(quiet, RATE, "FLAC 16-bit"), "int16").astype(np.float64)
    assert np.abs(heard).max() <= 2
    asked = quiet[0].double().numpy() * 32_768
    assert heard @ asked / (asked @ asked) == pytest.approx([1, 1], abs=0.02)
    error = heard - asked  # the dither's variance is 1/6, the rounding's 1/12
    assert error.var() == pytest.approx(1 / 4, rel=0.03)
    assert np.corrcoef(error)[0, 1] == pytest.approx(0, abs=0.01)


def test_a_sound_is_encoded_into_the_same_samples_each_time_and_silence_stays_silent():
    first, second = (read(encode.encode(noise(2, 999), RATE, "WAV 16-bit"), "int16") for _ in range(2))
    assert np.array_equal(first, second)
    assert not read(encode.encode(torch.zeros(2, 999), RATE, "FLAC 16-bit"), "int16").any()


@pytest.mark.parametrize("name", LOSSLESS)
def test_what_is_beyond_full_scale_is_clipped_and_counted(name: str):
    sound = torch.tensor([[0.5, 1.0, 1.0001, -1.0, -7.0], [0.0, 0.25, 2.0**31, 0.5, -0.5]])
    assert encode.clipped_samples(sound) == 3
    highest = (1 << 31) - (1 << 32 - encode.FORMATS[name].bits)
    steps = read(encode.encode(sound, RATE, name), "int32")
    assert steps[0, 1:].tolist() == [highest, highest, -(1 << 31), -(1 << 31)]
    assert steps[1, 2] == highest


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_sounds_of_every_dtype_are_taken(dtype: torch.dtype):
    sound = (noise(2, 500) * 128).round() / 128
    file = encode.encode(sound.to(dtype), RATE, "FLAC 24-bit")
    assert np.array_equal(read(file, "float32"), sound.numpy())


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050, 8_000, 96_000])
@pytest.mark.parametrize("name", LOSSY)
def test_a_tone_is_heard_in_lossy_formats_at_every_rate(name: str, rate: int):
    file = encode.encode(tone(2 * rate, rate), rate, name)
    sound, written = soundfile.read(io.BytesIO(file))
    assert written == 48_000 if rate > 48_000 or name.startswith("Opus") else written == rate
    assert len(sound) / written == pytest.approx(2, abs=0.01)
    middle = sound[written // 2 : written // 2 + written, 0]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() == 440
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.06)  # LAME: -5 %


def test_bit_rates_are_those_of_the_names():
    sound = noise(2, 5 * RATE)
    rates = {name: len(encode.encode(sound, RATE, name)) * 8 / 5 / 1000 for name in LOSSY}
    assert rates["MP3 320 kbps"] == pytest.approx(320, rel=0.02)
    assert rates["MP3 V0"] > 240
    assert rates["Opus 192 kbps"] == pytest.approx(192, rel=0.15)
    assert rates["Opus 128 kbps"] == pytest.approx(128, rel=0.15)


@pytest.mark.parametrize("name", encode.FORMATS)
def test_every_format_says_what_its_song_is(name: str):
    file = encode.encode(noise(2, RATE), RATE, name, SONG)
    texts, pictures = metadata(file)
    said = {key: texts.get(key) for key in NO_SOUND}
    assert said == {key: getattr(SONG, key) for key in NO_SOUND}
    lyrics = next(text for key, text in texts.items() if key.startswith("lyrics"))
    assert lyrics == SONG.lyrics
    assert {key: texts[key] for key in WORKFLOW} == WORKFLOW
    assert pictures == [JPEG.jpeg]
    assert soundfile.info(io.BytesIO(file)).frames >= RATE  # and libsndfile still reads it


@pytest.mark.parametrize("name", encode.FORMATS)
def test_a_file_without_tags_has_none_but_the_encoders(name: str):
    texts, pictures = metadata(encode.encode(noise(1, RATE), RATE, name))
    assert set(texts) <= {"encoder"}
    assert pictures == []


@pytest.mark.parametrize("name", encode.FORMATS)
def test_a_big_cover_and_odd_texts_do_no_harm(name: str):
    big = Cover(JPEG.jpeg + bytes(3_000_000), JPEG.width, JPEG.height)
    odd = FileTags(title="half \ud83c zero \0 end ", artist=" ", comment="=" * 70_000, cover=big)
    file = encode.encode(noise(2, RATE), RATE, name, odd)
    texts, (picture,) = metadata(file)
    assert picture == big.jpeg
    assert texts["title"] == "half ? zero  end"
    assert "artist" not in texts
    assert soundfile.info(io.BytesIO(file)).channels == 2


def test_the_workflow_stands_where_comfyui_looks_for_it():
    files = {name: encode.encode(noise(2, RATE), RATE, name, SONG) for name in encode.FORMATS}
    for name, file in files.items():
        text = file.decode("latin-1")
        if name.startswith("MP3"):  # between zeros, before the first frame
            head = text.partition("ÿû")[0]
            assert all(f"{key}\0{value}\0" in head for key, value in WORKFLOW.items())
        elif name.startswith("Opus"):  # in the first page of comments
            head = text[: text.index("OggS", text.index("OpusTags"))]
            assert all(f"{key}={value}" in head for key, value in WORKFLOW.items())
        elif name.startswith("FLAC"):
            assert all(f"{key}={value}" in text for key, value in WORKFLOW.items())


@pytest.mark.parametrize(("name", "samples"), [("Opus 128 kbps", 1), ("MP3 V0", 700)])
def test_a_sound_that_a_lossy_format_would_lose_is_refused_in_a_sentence(name: str, samples: int):
    with pytest.raises(encode.EncodeError, match=rf"{name} cannot hold a sound of 0\.0\d\d s; .+\.$"):
        encode.encode(noise(2, samples), RATE, name)


def test_an_av_without_an_encoder_is_told_of_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(encode.FORMATS, "MP3 V0", replace(encode.MP3, codec="no_such_encoder"))
    with pytest.raises(encode.EncodeError, match=r"^MP3 V0 .+no_such_encoder.+; choose another format\.$"):
        encode.encode(noise(2, RATE), RATE, "MP3 V0")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_becomes_a_jpeg_of_its_size(channels: int):
    from PIL import Image

    picture = torch.zeros(2, 20, 30, channels)
    picture[1] = 0.5
    first, second = cover.covers_of(picture)
    assert (first.width, first.height) == (30, 20)
    seen = Image.open(io.BytesIO(second.jpeg))
    assert seen.format == "JPEG" and seen.size == (30, 20) and seen.mode == "RGB"
    assert np.abs(np.asarray(seen).astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    "picture",
    [
        None,
        "x.png",
        torch.rand(20, 30, 3),
        torch.rand(1, 0, 5, 3),
        torch.rand(1, 5, 5, 2),
        torch.zeros(1, 4097, 1, 3),
    ],
)
def test_what_is_no_cover_is_refused_in_a_sentence(picture: Any):
    with pytest.raises(cover.CoverError, match="cover") as told:
        cover.covers_of(picture)
    assert str(told.value).endswith(".")


def test_a_picture_of_numbers_that_are_none_is_black_there():
    (made,) = cover.covers_of(torch.full((1, 8, 8, 3), float("nan")))
    assert made.jpeg == cover.covers_of(torch.zeros(1, 8, 8, 3))[0].jpeg


def test_a_block_of_a_picture_is_as_flac_defines_it():
    block = file_tags.picture(Cover(b"jpeg", 3, 2))
    numbers = [0, 0, 0, 3, 0, 0, 0, 10, *b"image/jpeg", 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 24]
    assert block == bytes([*numbers, 0, 0, 0, 0, 0, 0, 0, 4]) + b"jpeg"


@pytest.mark.parametrize("name", encode.FORMATS)
def test_texts_that_a_format_cannot_hold_are_told(name: str):
    sound = noise(2, RATE // 10)
    most = encode.MOST_TEXT - len("workflow=") - 4
    full, more = (FileTags(more={"workflow": "x" * size}) for size in (most, most + 1))
    assert len(encode.encode(sound, RATE, name, full)) > most
    if encode.FORMATS[name].suffix != ".flac":
        assert encode.holds(name, more)
        assert encode.encode(sound, RATE, name, more)
        return
    assert encode.holds(name, full)
    assert not encode.holds(name, more)
    with pytest.raises(EncodeError) as error:
        encode.encode(sound, RATE, name, more)
    assert_one_sentence(str(error.value).replace("16.8 MB", "enough"))
    assert "leave the workflow out" in str(error.value)
