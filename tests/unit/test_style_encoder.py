"""The style encoder on small sizes: what it hears, how much of it runs, and what a style prompt holds."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from support.peak_memory import peak
from support.small_models import random
from torch import Tensor

from levo import tiny
from levo.config import CODES, EMPTY, SAMPLE_RATE, StyleEncoderConfig
from levo.style_encoder import musicfm
from levo.style_encoder.clip import SAMPLES, ClipError, Recording, both_stems, choose, loudest, stem
from levo.style_encoder.encode import CONTEXT, StyleEncoder, encode_clips, encode_style, prompt_codes


def noise(samples: int, rows: int = 1, channels: int = 2, seed: int = 0) -> Tensor:
    return 0.1 * random(rows, channels, samples, seed=seed)


def music(samples: int) -> Tensor:
    """Noise that changes its level and its colour, so that codes change."""
    steps = torch.rand(1, 1, samples // 2_000 + 1, generator=torch.Generator().manual_seed(1))
    level, colour = (torch.repeat_interleave(s, 2_000, dim=2)[..., :samples] for s in (steps**4, steps))
    x = noise(samples)
    return level * (x - colour.round() * x.roll(1, dims=2))


def built(config: StyleEncoderConfig) -> StyleEncoder:
    model = StyleEncoder(config)
    tiny.init_weights(model)
    with torch.no_grad():  # as in a checkpoint: a window and a mel filter bank are not negative
        for table in (model.musicfm.window, model.musicfm.filters):
            table.weight.abs_()
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def encoder() -> StyleEncoder:
    return built(tiny.TRACK_ENCODER)


# The model -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("track", "layers"), [("vocal", 2), ("accompaniment", 1)])
def test_only_the_layers_before_a_tracks_codes_run(encoder: StyleEncoder, track: str, layers: int):
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, n=n: ran.append(n))
        for n, layer in enumerate(encoder.musicfm.layers)
    ]
    features = encoder.features(noise(SAMPLE_RATE)[0], track)
    for hook in hooks:
        hook.remove()
    assert ran == list(range(layers))
    assert features.shape == (2, 25, tiny.TRACK_ENCODER.width)


@pytest.mark.parametrize("period", [25, 31, 60])
def test_repeated_audio_is_embedded_as_if_all_of_it_were_convolved(encoder: StyleEncoder, period: int):
    clip = noise(period * musicfm.FRAME, channels=1)[:, 0]
    audio = clip.repeat(1, 5)[:, : 100 * musicfm.FRAME]
    whole = encoder.musicfm.embed(audio)
    torch.testing.assert_close(encoder.musicfm.embed_repeating(audio, period), whole, rtol=0, atol=1e-4)


def test_a_longer_period_than_the_audio_changes_nothing(encoder: StyleEncoder):
    audio = noise(20 * musicfm.FRAME, channels=1)[:, 0]
    assert torch.equal(encoder.musicfm.embed_repeating(audio, 20), encoder.musicfm.embed(audio))


# Clips to codes ------------------------------------------------------------------------------------------


def encoded(encoder: StyleEncoder, clip: Tensor, **changes) -> dict[str, Tensor]:
    return encode_clips(encoder, {"vocal": clip, "accompaniment": clip.flip(2)}, **changes)


def test_ten_seconds_are_251_codes_a_track_and_progress_is_told_to_the_end(encoder: StyleEncoder):
    steps = []
    codes = encoded(encoder, music(SAMPLES), on_step=lambda *step: steps.append(step))
    assert {track: tuple(row.shape) for track, row in codes.items()} == {
        "vocal": (1, 251),
        "accompaniment": (1, 251),
    }
    assert all(row.min() >= 0 and row.max() < CODES for row in codes.values())
    assert len(codes["vocal"].unique()) > 2
    assert steps == [(n, 5) for n in range(1, 6)]


def test_a_clip_that_is_no_whole_frames_hears_itself_again_after_its_end(encoder: StyleEncoder):
    clip = music(SAMPLE_RATE * 2 + 700)
    codes = encoded(encoder, clip)["vocal"]
    assert codes.shape == (1, 51)
    long = clip.repeat(1, 1, 40)[:, :, :CONTEXT].mean(dim=1)
    expected = encoder.quantizers["vocal"](encoder.features(long, "vocal"))
    assert torch.equal(codes, expected[:, :51])


def test_a_clip_above_the_level_is_encoded_like_its_quieter_self(encoder: StyleEncoder):
    clip = music(SAMPLE_RATE)
    clip /= clip.abs().max()
    at = encoded(encoder, clip * 0.8)["vocal"]
    assert torch.equal(encoded(encoder, clip * 3)["vocal"], at)
    assert not torch.equal(encoded(encoder, clip * 0.01)["vocal"], at)


def test_a_prompt_holds_250_codes_a_track_and_a_short_one_is_padded():
    codes = {
        track: torch.arange(251)[None] + n for n, track in enumerate(("mixed", "vocal", "accompaniment"))
    }
    prompt = prompt_codes(codes)
    assert prompt.shape == (1, 3, 250)
    assert [row.tolist() for row in prompt[0]] == [list(range(n, n + 250)) for n in range(3)]
    short = prompt_codes({track: row[:, :183] for track, row in codes.items()})
    assert torch.equal(short[..., :183], prompt[..., :183])
    assert (short[..., 183:] == EMPTY).all()


def test_both_encoders_are_brought_one_after_the_other_and_give_one_prompt(encoder: StyleEncoder):
    mixed, log = built(tiny.MIXED_ENCODER), []

    def bring(name: str) -> torch.device:
        log.append(name)
        return torch.device("cpu")

    clip, vocals, accompaniment = (music(SAMPLE_RATE).roll(n, dims=2) for n in (0, 300, 600))
    encoders = [(encoder, partial(bring, "tracks")), (mixed, partial(bring, "mixed"))]
    prompt = encode_style(encoders, clip, vocals, accompaniment, lambda *step: log.append(step))
    first, total = encoder.config.steps, encoder.config.steps + mixed.config.steps
    steps = [(n, total) for n in range(1, total + 1)]
    assert log == ["tracks", *steps[:first], "mixed", *steps[first:]]
    tracks = encode_clips(encoder, {"vocal": vocals, "accompaniment": accompaniment})
    assert torch.equal(prompt, prompt_codes({**tracks, **encode_clips(mixed, {"mixed": clip})}))


# Clips of recordings -------------------------------------------------------------------------------------


def test_the_clip_is_ten_seconds_from_the_start_in_stereo_at_48_khz():
    audio = noise(14 * SAMPLE_RATE)
    start, clip = choose(Recording(audio, SAMPLE_RATE, "audio"), 2.5)
    assert start == 2.5
    assert torch.equal(clip, audio[:, :, 120_000:][:, :, :SAMPLES])


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100])
def test_other_rates_and_mono_become_48_khz_stereo(rate: int):
    audio = noise(12 * rate, channels=1)
    _, clip = choose(Recording(audio, rate, "audio"), 0.0)
    assert clip.shape == (1, 2, SAMPLES)
    assert torch.equal(clip[:, 0], clip[:, 1])
    torchaudio = pytest.importorskip("torchaudio")
    whole = torchaudio.transforms.Resample(rate, SAMPLE_RATE)(audio)[:, 0, :SAMPLES]
    torch.testing.assert_close(clip[:, 0], whole, rtol=0, atol=5e-5)


def test_auto_takes_the_ten_seconds_with_the_most_energy():
    rate = 8_000
    audio = 0.01 * noise(60 * rate)
    audio[:, :, 31 * rate : 41 * rate] *= 50
    start, _ = choose(Recording(audio, rate, "audio"), None)
    assert start == pytest.approx(31.0)


@pytest.mark.parametrize("rate", [4_000, 11_025])
def test_auto_takes_no_more_memory_than_a_part_of_a_long_recording(rate: int):
    audio = noise(600 * rate)
    audio[:, :, 405 * rate : 415 * rate] *= 2
    recording = Recording(audio, rate, "audio")
    assert loudest(recording) == pytest.approx(405.0, abs=0.2)
    assert peak(lambda: loudest(recording)) < audio.nbytes / 10


def test_auto_takes_a_short_recording_from_its_start():
    start, clip = choose(Recording(noise(3 * SAMPLE_RATE), SAMPLE_RATE, "audio"), None)
    assert (start, clip.shape[2]) == (0.0, 3 * SAMPLE_RATE)


REFUSED = {
    "batch": (noise(SAMPLE_RATE, rows=2), 0.0, "The audio is a batch of 2;"),
    "surround": (noise(SAMPLE_RATE, channels=6), 0.0, "The audio has 6 channels;"),
    "too short": (
        noise(SAMPLE_RATE - 1),
        0.0,
        "lasts 1.0 s, which leaves less than 1 s from 0 s",
    ),
    "start too late": (noise(SAMPLE_RATE * 5), 4.5, "leaves less than 1 s from 4.5 s on"),
    "silent": (noise(SAMPLE_RATE * 5) * 1e-5, 0.0, "The audio is silent from 0 s to 5 s;"),
    "empty": (noise(0), None, "The audio lasts 0.0 s"),
}


@pytest.mark.parametrize(("audio", "start", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_prompt_is_refused_in_a_sentence(audio: Tensor, start: float | None, sentence: str):
    with pytest.raises(ClipError) as error:
        choose(Recording(audio, SAMPLE_RATE, "audio"), start)
    assert sentence in str(error.value)
    assert str(error.value).endswith(".")


def test_a_stem_is_cut_where_the_clip_is_even_at_another_rate():
    whole = Recording(noise(14 * SAMPLE_RATE), SAMPLE_RATE, "audio")
    vocals = Recording(whole.waveform[:, :, ::3], 16_000, "vocals")
    piece = stem(vocals, 3.0, whole)
    assert torch.equal(piece, vocals.clip(3.0))
    assert piece.shape == (1, 2, SAMPLES)


def test_a_stem_of_another_length_is_refused():
    whole = Recording(noise(14 * SAMPLE_RATE), SAMPLE_RATE, "audio")
    other = Recording(noise(13 * SAMPLE_RATE), SAMPLE_RATE, "vocals")
    with pytest.raises(ClipError, match=r"The audio has 14\.0 s and its vocals 13\.0 s;"):
        stem(other, 0.0, whole)


def test_the_stem_that_is_missing_is_the_rest_of_the_clip():
    clip, part = noise(1_000), noise(990, seed=1)
    padded = torch.nn.functional.pad(part, (0, 10))
    for made, expected in (
        (both_stems(clip, part, None), (padded, clip - padded)),
        (both_stems(clip, None, part), (clip - padded, padded)),
        (both_stems(clip, part, clip), (padded, clip)),
    ):
        assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))
