"""Mixing: 0 dB leaves every bit, gains are decibels, the floor is silence, unlike tracks are refused."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
import torch
from support.sentences import assert_one_sentence
from support.small_models import random
from torch import Tensor

from levo.audio.loudness import integrated_loudness
from levo.audio.mixing import SILENT, Fader, mixed
from levo.audio.sound import Sound, SoundError
from levo.config import SettingError

RATE = 48_000


def track(seed: int, channels: int = 2, samples: int = 4_800, songs: int = 1) -> Tensor:
    return 0.2 * random(songs, channels, samples, seed=seed)


def mix(*tracks: tuple[Tensor, Any]) -> Tensor:
    """The sum of tracks and their gains."""
    return mixed(
        [Fader(f"track {n}", Sound(each, RATE), gain) for n, (each, gain) in enumerate(tracks)]
    ).waveform


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_single_track_at_0_db_stays_the_same_to_the_bit(channels: int, dtype: torch.dtype):
    given = (3 * track(1, channels, songs=2)).to(dtype)
    made = mix((given, 0.0))
    assert torch.equal(made, given) and made.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(mix((given, 0.0), (track(2, channels, songs=2), SILENT)), made)


def test_stems_whose_sum_is_the_mix_make_the_mix_to_the_bit():
    vocals, accompaniment = ((track(seed) * 32_768).round() / 32_768 for seed in (1, 2))
    assert torch.equal(mix((vocals, 0), (accompaniment, 0)), vocals + accompaniment)
    exact = vocals.double() + accompaniment.double()
    assert torch.equal(mix((vocals, 0), (accompaniment, 0)).double(), exact)


def test_stems_made_by_taking_the_vocals_from_a_mix_make_it_to_float_precision():
    whole, vocals = track(1), track(2)
    made = mix((vocals, 0), (whole - vocals, 0))
    assert torch.equal(made, vocals + (whole - vocals))
    assert (made - whole).abs().max() <= 2**-24  # half a unit of the last place of numbers below 1


@pytest.mark.parametrize("gain_db", [-40, -6.5, -0.01, 0.5, 6])
def test_a_gain_is_in_decibels(gain_db: float):
    sound = track(1, samples=RATE)
    louder = integrated_loudness(mix((sound, gain_db))[0], RATE) - integrated_loudness(sound[0], RATE)
    assert louder == pytest.approx(gain_db, abs=0.01)
    torch.testing.assert_close(mix((sound, gain_db)), sound * 10 ** (gain_db / 20))


@pytest.mark.parametrize("gain_db", [SILENT, -200])
def test_a_track_at_the_floor_is_not_heard_at_all(gain_db: float):
    loud, other = 1e6 * track(1), track(2)
    assert torch.equal(mix((loud, gain_db), (other, -3)), mix((other, -3)))
    assert torch.equal(mix((loud, gain_db)), torch.zeros_like(loud))
    assert mix((loud, SILENT + 0.5)).abs().max() > 0


def test_mono_is_heard_on_both_sides_of_a_stereo_track():
    mono, stereo = track(1, channels=1), track(2)
    assert torch.equal(mix((mono, 0), (stereo, 0)), torch.cat((mono, mono), dim=1) + stereo)
    assert torch.equal(mix((mono, 0), (stereo, SILENT)), torch.cat((mono, mono), dim=1))
    assert torch.equal(mix((stereo, 0), (mono, SILENT)), stereo)
    made = mix((mono, 0), (stereo, SILENT))
    assert made.is_contiguous()  # as writers of sound files want it


def test_what_is_mixed_stays_as_it_was():
    tracks = [track(seed) for seed in (1, 2, 3)]
    before = [each.clone() for each in tracks]
    mix(*((each, -2.5) for each in tracks))
    mix(*((each, 0) for each in tracks))
    assert all(map(torch.equal, tracks, before))


UNLIKE = {
    "rates": (Sound(track(2), 44_100), "different sample rates (vocals 48,000 Hz, mix 44,100 Hz)"),
    "lengths": (
        Sound(track(2, samples=4_801), RATE),
        "different lengths (vocals 0.10 s or 4,800 samples, mix 0.10 s or 4,801 samples)",
    ),
    "one sample": (Sound(track(2, samples=1), RATE), "different lengths"),
    "songs": (Sound(track(2, songs=2), RATE), "different numbers of songs (vocals 1, mix 2)"),
}


@pytest.mark.parametrize("gain_db", [0, SILENT])
@pytest.mark.parametrize("what", UNLIKE)
def test_unlike_tracks_are_refused_in_one_sentence(what: str, gain_db: float):
    other, told = UNLIKE[what]
    with pytest.raises(SoundError) as error:
        mixed([Fader("vocals", Sound(track(1), RATE), 0), Fader("mix", other, gain_db)])
    assert told in str(error.value)
    assert_one_sentence(str(error.value))


@pytest.mark.parametrize("gain_db", [nan, inf, -inf, 1e9, None, "6", True])
def test_a_gain_that_is_no_number_of_decibels_is_refused_in_one_sentence(gain_db: Any):
    with pytest.raises(SettingError) as error:
        Fader("vocals", Sound(track(1), RATE), gain_db)
    assert str(error.value).startswith("The gain of the vocals in dB is ")
    assert_one_sentence(str(error.value))
