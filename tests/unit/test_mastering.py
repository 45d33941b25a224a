"""Endings: silence is cut off, cut songs fade, loudness and peaks are as asked, and off is off."""

from __future__ import annotations

from math import pi

import pytest
import torch
from support.small_models import random
from torch import Tensor

from levo.audio.loudness import integrated_loudness, true_peak_db
from levo.audio.mastering import LOOKAHEAD_SECONDS, Finish, fade_out, finish, limit, sound_end, to_loudness

RATE = 48_000
SECOND = 48_000


def noise(seconds: float, level: float = 0.1, seed: int = 1) -> Tensor:
    """[1, 2, samples]"""
    return level * random(1, 2, round(seconds * SECOND), seed=seed)


def silence(seconds: float) -> Tensor:
    return torch.zeros(1, 2, round(seconds * SECOND))


# All of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [False, True])
def test_with_everything_off_nothing_changes_to_the_bit(cut: bool):
    loud = torch.cat((noise(1, level=2), silence(1)), dim=-1)
    assert torch.equal(finish(loud, RATE, Finish(), [cut]), loud)


def test_where_there_is_nothing_to_do_nothing_changes_to_the_bit():
    quiet = noise(1, level=0.02)
    settings = Finish(silence=-60, fade=0.5, ceiling=-1)
    assert torch.equal(finish(quiet, RATE, settings, [False]), quiet)


def test_all_steps_together_give_what_each_promises():
    song = torch.cat((noise(4, level=0.5), silence(2)), dim=-1)
    made = finish(song, RATE, Finish(silence=-60, fade=1, loudness=-16, ceiling=-1), [True])
    assert made.shape == (1, 2, 4 * SECOND)
    assert made[0, :, -50:].abs().max() < 1e-4
    assert true_peak_db(made[0]) <= -1 + 1e-4
    assert integrated_loudness(made[0], RATE) == pytest.approx(-16, abs=0.5)


@pytest.mark.parametrize("channels", [1, 2])
def test_silence_survives_everything(channels: int):
    sound = torch.zeros(1, channels, SECOND)
    settings = Finish(silence=-60, fade=2, loudness=-14, ceiling=-1)
    assert torch.equal(finish(sound, RATE, settings, [True]), sound)


def test_songs_of_a_batch_are_finished_each_for_itself():
    long, short = noise(2, seed=1), torch.cat((noise(1, level=0.01, seed=2), silence(1)), dim=-1)
    settings = Finish(silence=-60, fade=0.5, loudness=-20)
    both = finish(torch.cat((long, short)), RATE, settings, [False, True])
    assert both.shape == (2, 2, 2 * SECOND)
    assert torch.equal(both[:1], finish(long, RATE, settings, [False]))
    alone = finish(short, RATE, settings, [True])
    assert torch.equal(both[1:, :, : alone.shape[-1]], alone)
    assert not both[1, :, alone.shape[-1] :].any()


# Silence and fades ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "end"), [(-80.0, 300), (-50.0, 200), (-10.0, 100), (10.0, 400)])
def test_a_song_ends_with_its_last_sample_above_the_threshold(threshold: float, end: int):
    song = torch.zeros(2, 400)
    song[0, :100], song[1, 100:200], song[0, 200:300] = 0.5, -0.01, 0.001
    assert sound_end(song, threshold) == end


def test_silence_inside_a_song_stays():
    song = torch.cat((noise(0.1), silence(1), noise(0.1)), dim=-1)
    assert torch.equal(finish(song, RATE, Finish(silence=-40), [False]), song)


def test_a_fade_falls_to_nothing_and_touches_only_the_end():
    song = torch.ones(2, 1_000)
    faded = fade_out(song, 400)
    assert torch.equal(faded[:, :600], song[:, :600])
    assert (faded[:, 600:].diff() <= 0).all()
    assert faded[0, 800] == pytest.approx(0.5, abs=0.01)
    assert faded[:, -1].abs().max() < 1e-6
    assert song.min() == 1  # what was given is untouched


@pytest.mark.parametrize(("samples", "left"), [(0, 1_000), (5_000, 1)])
def test_a_fade_may_be_nothing_or_longer_than_the_song(samples: int, left: int):
    assert int((fade_out(torch.ones(2, 1_000), samples) == 1).sum()) == 2 * left


# Loudness and peaks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [-30.0, -14.0, -6.0])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_song_gets_the_loudness_asked_for(target: float, rate: int):
    assert integrated_loudness(to_loudness(noise(3)[0], rate, target), rate) == pytest.approx(
        target, abs=1e-3
    )


SOUNDS = {
    "noise": noise(2, level=0.7)[0],
    "clicks": torch.zeros(2, SECOND).index_fill(1, torch.arange(5_000, SECOND, 9_000), 3.0),
    "between samples": 1.3 * torch.sin(pi / 2 * torch.arange(SECOND) + pi / 4).expand(2, -1),
    "square": torch.sign(torch.sin(0.01 * torch.arange(SECOND))).expand(2, -1) * 1.5,
    "shorter than the look": torch.full((2, 100), 2.0),
    "one sample": torch.full((2, 1), 2.0),
}


@pytest.mark.parametrize("ceiling", [-1.0, -6.0])
@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS.keys())
def test_no_true_peak_is_left_above_the_ceiling(sound: Tensor, ceiling: float):
    limited = limit(sound, RATE, ceiling)
    assert limited.shape == sound.shape
    assert ceiling - 1 < true_peak_db(limited) <= ceiling + 1e-4


def test_the_limiter_turns_down_only_near_a_peak_and_both_channels_alike():
    song = 0.1 * torch.ones(2, SECOND)
    song[0, SECOND // 2] = 2.0
    limited = limit(song, RATE, -1)
    gain = limited / song
    torch.testing.assert_close(gain[0], gain[1])
    reach = round(3 * LOOKAHEAD_SECONDS * RATE)
    away = torch.cat((gain[1, : SECOND // 2 - reach], gain[1, SECOND // 2 + reach :]))
    assert away.min() > 0.99
    assert gain[1, SECOND // 2] < 0.5
    assert gain[1].diff().abs().max() < 1e-3  # no step that could be heard as a click


def test_a_song_below_the_ceiling_is_not_touched():
    song = noise(1, level=0.05)[0]
    assert limit(song, RATE, -1) is song
