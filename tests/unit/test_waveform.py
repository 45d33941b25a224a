"""Resampling gives torchaudio's numbers at any pair of rates."""

from __future__ import annotations

import pytest
import torch
from support.small_models import random

from levo.audio.waveform import BLOCK, resample

torchaudio = pytest.importorskip("torchaudio")
RATES = [(48_000, 24_000), (44_100, 48_000), (32_000, 48_000), (16_000, 48_000), (96_000, 48_000)]


@pytest.mark.parametrize(
    ("rate", "target_rate"), [*RATES, (48_000, 44_100), (11_025, 48_000), (22_050, 24_000)]
)
@pytest.mark.parametrize("samples", [1, 500, 44_101])
def test_the_numbers_are_torchaudios(rate: int, target_rate: int, samples: int):
    audio = random(2, 3, samples).double()
    theirs = torchaudio.transforms.Resample(rate, target_rate, dtype=torch.float64)(audio)
    torch.testing.assert_close(resample(audio, rate, target_rate), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("rate", "target_rate"), RATES)
def test_float32_is_as_near_as_torchaudios_rounded_moments_allow(rate: int, target_rate: int):
    audio = random(2, 5_000)
    theirs = torchaudio.transforms.Resample(rate, target_rate)(audio)
    torch.testing.assert_close(resample(audio, rate, target_rate), theirs, rtol=0, atol=5e-5)


def test_a_clip_longer_than_a_block_has_no_seam():
    audio = random(1, 3 * BLOCK)
    theirs = torchaudio.transforms.Resample(44_100, 48_000)(audio)
    torch.testing.assert_close(resample(audio, 44_100, 48_000), theirs, rtol=0, atol=5e-5)


def test_rates_without_a_common_divisor_keep_pitch_and_length():
    rate, tone = 44_101, 1_000.0
    audio = torch.sin(2 * torch.pi * tone * torch.arange(rate) / rate)
    expected = torch.sin(2 * torch.pi * tone * torch.arange(48_000) / 48_000)
    made = resample(audio, rate, 48_000)
    assert made.shape == expected.shape
    torch.testing.assert_close(made[500:-500], expected[500:-500], rtol=0, atol=2e-3)


def test_an_equal_rate_changes_nothing():
    audio = random(2, 100)
    assert resample(audio, 48_000, 48_000) is audio
