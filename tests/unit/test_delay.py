"""The delay pattern between frames of a song and steps of the language model."""

from __future__ import annotations

import pytest
import torch

from levo.config import CODES, EMPTY
from levo.lelm.delay import active, delay, steps_for, undelay

CASES = [
    (1, (0, 0, 0)),
    (1, (0, 250, 250)),
    (7, (0, 2, 2)),
    (7, (3, 0, 5)),
    (40, (0, 250, 250)),
    (9, (2, 2)),
]


def random_codes(frames: int, streams: int) -> torch.Tensor:
    return torch.randint(0, CODES, (streams, frames), generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize(("frames", "delays"), CASES)
def test_undelay_takes_back_delay(frames, delays):
    codes = random_codes(frames, len(delays))
    assert torch.equal(undelay(delay(codes, delays), frames, delays), codes)


@pytest.mark.parametrize(("frames", "delays"), CASES)
def test_every_code_stands_at_its_step_and_the_rest_is_empty(frames, delays):
    codes = random_codes(frames, len(delays))
    sequence = delay(codes, delays)
    assert sequence.shape == (len(delays), steps_for(frames, delays) + 1)
    for stream, shift in enumerate(delays):
        for step in range(sequence.shape[1]):
            frame = step - 1 - shift
            expected = int(codes[stream, frame]) if 0 <= frame < frames else EMPTY
            assert int(sequence[stream, step]) == expected


@pytest.mark.parametrize(("frames", "delays"), CASES)
def test_active_marks_exactly_the_steps_that_hold_frames(frames, delays):
    codes = random_codes(frames, len(delays))
    assert torch.equal(active(frames, delays), delay(codes, delays) != EMPTY)


def test_the_first_step_is_empty_in_every_stream():
    assert (delay(random_codes(5, 3), (0, 0, 4))[:, 0] == EMPTY).all()


def test_steps_are_the_frames_and_the_longest_delay():
    assert steps_for(6_750, (0, 250, 250)) == 7_000
    assert steps_for(1, (3, 0, 1)) == 4
