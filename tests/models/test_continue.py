"""Going on from a song: what is kept stays, and the rest is what it was in the song from its start."""

from __future__ import annotations

import random

import pytest
import torch
from support.peak_memory import peak
from support.scripted_models import DELAYS, FRAMES, GREEDY, WAYS, any_conditions, assert_same, song_script
from support.small_models import SMALL_LELM as SMALL
from support.small_models import WIDER_LELM, filled
from torch import Tensor

from levo.config import EMPTY, END, Sampling
from levo.lelm.compose import Composition, compose
from levo.lelm.kv_cache import SPAN
from levo.lelm.model import LeLM
from levo.memory import compose_bytes

pytestmark = pytest.mark.usefixtures("inference")

TEN = 10


@pytest.fixture(scope="module")
def lelm() -> LeLM:
    # A pass over all kept frames sums in another order than steps do; see test_takes.
    return filled(LeLM(SMALL, dtype=torch.float64))


def frames_of(song: Composition) -> list[int]:
    """Ten random numbers of frames to keep, none and all among the possible ones."""
    length = song.codes.shape[2]
    return random.Random(length).sample(range(length + 1), min(TEN, length + 1))


# The same song -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_going_on_from_any_frame_with_the_same_seed_makes_the_same_song(lelm: LeLM, way: str):
    (song,) = compose(lelm, any_conditions(SMALL, (3, 4)), 25, WAYS[way], [5], run_out=True)
    for kept in frames_of(song):
        again = compose(
            lelm,
            any_conditions(SMALL, (3, 4)),
            25,
            WAYS[way],
            [5],
            run_out=True,
            kept=song.codes[..., :kept],
        )
        assert_same(again[0], song)


def test_a_prefill_longer_than_a_span_makes_the_same_song(lelm: LeLM):
    frames = SPAN + 30
    (song,) = compose(lelm, any_conditions(SMALL), frames, Sampling(), [1])
    assert song.codes.shape[2] == frames
    for kept in (SPAN - SMALL.prefix_length % SPAN - 1, SPAN, frames):
        again = compose(lelm, any_conditions(SMALL), frames, Sampling(), [1], kept=song.codes[..., :kept])
        assert_same(again[0], song)


# Another song --------------------------------------------------------------------------------------------


def test_other_seeds_keep_the_beginning_and_go_on_each_in_its_way(lelm: LeLM):
    (song,) = compose(lelm, any_conditions(SMALL), 40, Sampling(), [5])
    kept, seeds = song.codes[..., :15], [5, 6, 7]
    takes = compose(lelm, any_conditions(SMALL), 40, Sampling(), seeds, kept=kept)
    assert torch.equal(takes[0].codes, song.codes)
    for seed, take in zip(seeds, takes, strict=True):
        assert torch.equal(take.codes[..., :15], kept)
        assert_same(take, compose(lelm, any_conditions(SMALL), 40, Sampling(), [seed], kept=kept)[0])
    assert len({tuple(take.codes[0, 0, 15:].tolist()) for take in takes}) == 3


def test_other_conditions_change_what_comes_after(lelm: LeLM):
    (song,) = compose(lelm, any_conditions(SMALL), 40, Sampling(), [5])
    kept = song.codes[..., :15]
    (other,) = compose(lelm, any_conditions(SMALL, (1, 2)), 40, Sampling(), [5], kept=kept)
    assert torch.equal(other.codes[..., :15], kept)
    assert not torch.equal(other.codes, song.codes)


def test_a_song_at_its_limit_goes_on_beyond_it(lelm: LeLM):
    (song,) = compose(lelm, any_conditions(SMALL), 20, Sampling(), [5])
    (longer,) = compose(lelm, any_conditions(SMALL), 40, Sampling(), [5], kept=song.codes)
    assert torch.equal(longer.codes[..., :20], song.codes)
    assert longer.codes.shape[2] > 20


# What is placed where ------------------------------------------------------------------------------------


def kept_of(frames: int) -> Tensor:
    """Codes that the script would not sing."""
    return 1000 + torch.arange(frames) + 100 * torch.arange(3)[None, :, None]


def go_on(ends: tuple[int | None, ...], kept: int, **options) -> tuple[Composition, list[Tensor], int]:
    script = song_script(ends)
    (song,) = compose(script, any_conditions(script.config), FRAMES, GREEDY, kept=kept_of(kept), **options)
    return song, script.inputs, script.prefixes


@pytest.mark.parametrize("kept", range(FRAMES + 1))
def test_streams_that_lag_are_kept_while_the_mixed_stream_is_sampled(kept: int):
    song, _, prefixes = go_on((None, None, None), kept)
    sung = torch.arange(FRAMES) + 100 * torch.arange(3)[:, None]
    assert torch.equal(song.codes, torch.cat((kept_of(kept), sung[None, :, kept:]), dim=2))
    assert prefixes == 1


def test_the_model_hears_kept_frames_as_late_as_their_stream_lags():
    _, inputs, _ = go_on((None, None, None), 3, run_out=True)
    mixed, vocal, accompaniment = torch.stack(inputs, dim=1).tolist()
    assert mixed == [EMPTY, 1000, 1001, 1002, 3, 4, 5, EMPTY, EMPTY]
    assert vocal == [EMPTY] * 3 + [1100, 1101, 1102, 103, 104, 105]
    assert accompaniment == [EMPTY] * 4 + [1200, 1201, 1202, 203, 204]


@pytest.mark.parametrize("ends", [(3, None, None), (None, 3, None), (None, None, 3), (3, 4, 3)])
def test_an_end_right_after_what_is_kept_leaves_all_of_it(ends):
    song, _, _ = go_on(ends, 3)
    assert torch.equal(song.codes, kept_of(3))
    assert song.ended


def test_an_end_of_the_mixed_stream_waits_for_the_kept_frames_of_the_others():
    song, _, _ = go_on((4, None, None), 4, run_out=True)
    assert song.raw[0].tolist() == [
        [1000, 1001, 1002, 1003, END, EMPTY],
        [1100, 1101, 1102, 1103, 104, 105],
        [1200, 1201, 1202, 1203, 204, 205],
    ]


def test_every_step_after_what_is_kept_is_reported():
    reports: list[tuple[int, int]] = []
    go_on((None, None, None), 4, on_step=lambda done, total: reports.append((done, total)))
    steps = FRAMES + max(DELAYS)
    assert reports == [(step, steps) for step in range(5, steps + 1)]


def test_the_repetition_rule_hears_what_is_kept():
    def sung(window: int) -> list[int]:
        script = song_script((None, None, None), (0, 0, 0))
        script.logits = lambda step: torch.zeros(3, END + 1).index_fill(1, torch.tensor([7]), 1.0)
        how = Sampling(temperature=0.0, repetition_window=window, repetition_divisor=-1.0)
        kept = torch.full((1, 3, 2), 7)
        (song,) = compose(script, any_conditions(script.config), 3, how, kept=kept)
        return song.codes[0, :, 2].tolist()

    assert sung(0) == [7, 7, 7]
    assert sung(1) == [0, 0, 0]  # a negative divisor makes the favourite the last choice


@pytest.mark.parametrize("takes", [1, 2])  # of more the steps take most
def test_going_on_asks_for_what_the_prefill_takes(takes: int):
    model = filled(LeLM(WIDER_LELM))
    kept = torch.zeros(1, 3, 3_000, dtype=torch.int64)
    seeds = list(range(takes))

    def run() -> None:
        compose(model, any_conditions(WIDER_LELM), 3_001, Sampling(), seeds, kept=kept)

    assert compose_bytes(WIDER_LELM, 3_001, 4, takes, 3_000) == pytest.approx(peak(run), rel=0.15)
