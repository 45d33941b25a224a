"""Loudness and true peak against the values that ITU-R BS.1770 and EBU Tech 3341 ask for."""

from __future__ import annotations

from math import pi

import pytest
import torch
from torch import Tensor

from levo.audio.loudness import NOTHING, integrated_loudness, k_weighting, peaks, true_peak_db

RATE = 48_000


def sine(level: float, seconds: float, rate: int = RATE, pitch: float = 1_000, phase: float = 0) -> Tensor:
    """Peaks at `level` dBFS: [samples]."""
    moments = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (10 ** (level / 20) * torch.sin(2 * pi * pitch * moments + phase)).float()


def stereo(*parts: Tensor) -> Tensor:
    """The parts one after the other, alike in both channels."""
    return torch.cat(parts).expand(2, -1)


def swelling(sound: Tensor) -> Tensor:
    """In both channels, coming and going without an edge, whose ringing would peak too."""
    return stereo(sound * torch.hann_window(len(sound), periodic=False))


# Loudness ------------------------------------------------------------------------------------------------


def test_the_filters_at_48_kilohertz_are_those_of_the_standard():
    shelf, high_pass = k_weighting(RATE)
    assert shelf[0] == pytest.approx((1.53512485958697, -2.69169618940638, 1.19839281085285), abs=1e-7)
    assert shelf[1] == pytest.approx((1, -1.69065929318241, 0.73248077421585), abs=1e-7)
    assert high_pass[0] == (1, -2, 1)
    assert high_pass[1] == pytest.approx((1, -1.99004745483398, 0.99007225036621), abs=1e-7)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000, 96_000])
def test_a_sine_of_997_hertz_at_full_scale_in_one_channel_is_at_minus_3_01(rate: int):
    left = torch.stack((sine(0, 3, rate, 997), torch.zeros(3 * rate)))
    assert integrated_loudness(left, rate) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("level", [-20.0, -23.0, -33.0])
def test_a_stereo_sine_is_as_loud_as_its_peak(level: float):
    # Two channels are 3.01 louder than one.
    assert integrated_loudness(stereo(sine(level, 5)), RATE) == pytest.approx(level, abs=0.05)


def test_a_mono_sine_is_3_quieter_than_two():
    assert integrated_loudness(sine(-20, 5)[None], RATE) == pytest.approx(-23.01, abs=0.05)


# Of Tech 3341, minimum requirements test signals, each shortened to a quarter.
GATED = {
    "3: quiet passages are not counted": [(-36, 2.5), (-23, 15), (-36, 2.5)],
    "4: nor is what cannot be heard": [(-72, 2.5), (-36, 2.5), (-23, 15), (-36, 2.5), (-72, 2.5)],
    "5: passages near the mean are": [(-26, 20), (-20, 20.1), (-26, 20)],
}


@pytest.mark.parametrize("passages", GATED.values(), ids=GATED.keys())
def test_gating_leaves_out_what_the_ear_does(passages: list[tuple[float, float]]):
    song = stereo(*(sine(level, seconds) for level, seconds in passages))
    assert integrated_loudness(song, RATE) == pytest.approx(-23, abs=0.1)


def test_bass_counts_less_and_treble_more():
    low, middle, high = (
        integrated_loudness(stereo(sine(-20, 2, pitch=p)), RATE) for p in (40, 1_000, 8_000)
    )
    assert low < middle - 5
    assert high == pytest.approx(middle + 3.3, abs=0.3)


def test_filtering_piece_by_piece_is_filtering_the_whole(monkeypatch: pytest.MonkeyPatch):
    noise = torch.randn(2, 20 * RATE, generator=torch.Generator().manual_seed(1))
    noise = noise.cumsum(-1) / 100  # mostly low, which the filters remember longest
    whole = integrated_loudness(noise, RATE)
    monkeypatch.setattr("levo.audio.loudness.STEPS_AT_ONCE", 7)
    assert integrated_loudness(noise, RATE) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    "sound",
    [torch.zeros(2, RATE), torch.zeros(2, 0), stereo(sine(-80, 2)), stereo(sine(0, 0.39))],
    ids=["silence", "nothing", "below the gate", "shorter than a block"],
)
def test_what_has_no_loudness_is_nothing(sound: Tensor):
    assert integrated_loudness(sound, RATE) == NOTHING


# True peak -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("parts", "phase"), [(4, 0), (4, pi / 4), (6, pi / 3), (8, 3 * pi / 8)])
def test_peaks_between_samples_are_found(parts: int, phase: float):
    # Of Tech 3341, which allows 0.2 dB above and 0.4 below; samples alone miss up to 3 dB.
    sound = swelling(sine(-6, 0.2, pitch=RATE / parts, phase=phase))
    assert -6.4 < true_peak_db(sound) < -5.8


def test_a_quarter_of_the_rate_at_45_degrees_is_over_where_no_sample_is():
    sound = swelling(sine(3.01, 0.2, pitch=RATE / 4, phase=pi / 4))
    assert sound.abs().max() == pytest.approx(1, abs=1e-3)
    assert true_peak_db(sound) == pytest.approx(3.01, abs=0.2)


def test_a_peak_is_found_where_it_is_in_either_channel():
    sound = torch.zeros(2, 100)
    sound[1, 60] = 0.5
    found = peaks(sound)
    assert found.shape == (100,)
    assert found.amax() >= 0.5
    assert int(found.argmax()) in (59, 60, 61)
    assert found[:50].amax() < 0.1


@pytest.mark.parametrize("sound", [torch.zeros(2, 50), torch.zeros(2, 0)], ids=["silence", "nothing"])
def test_silence_peaks_nowhere(sound: Tensor):
    assert true_peak_db(sound) == NOTHING
