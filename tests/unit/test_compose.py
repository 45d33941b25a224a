"""The composing loop: what it places where, when it stops, what a seed decides, what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from support.scripted_models import DELAYS, FRAMES, GREEDY, Script, any_conditions, song_script
from support.small_models import SMALL_LELM as SMALL
from support.small_models import filled
from torch import Tensor

from levo.config import CODES, EMPTY, END, Sampling
from levo.lelm.compose import POLL_STEPS, Composition, compose
from levo.lelm.delay import delay, steps_for
from levo.lelm.model import LeLM

pytestmark = pytest.mark.usefixtures("inference")


def run(script: Script, frames: int = FRAMES, sampling: Sampling = GREEDY, **options) -> Composition:
    options.setdefault("conditions", any_conditions(script.config))
    (song,) = compose(script, options.pop("conditions"), frames, sampling, **options)
    return song


# What is placed where ------------------------------------------------------------------------------------


def test_a_song_that_never_ends_fills_the_limit():
    script = song_script((None, None, None))
    song = run(script)
    expected = torch.arange(FRAMES) + 100 * torch.arange(3)[:, None]
    assert torch.equal(song.codes[0], expected)
    assert (song.ended, song.steps, script.prefixes) == (False, steps_for(FRAMES, DELAYS), 1)


def test_the_model_hears_what_was_placed_one_step_later():
    script = song_script((None, 4, None))
    song = run(script, run_out=True)
    heard = torch.stack(script.inputs, dim=1)
    assert torch.equal(heard, delay(song.raw[0], DELAYS)[:, : heard.shape[1]])
    assert heard.shape[1] >= song.steps


def test_a_stream_is_empty_before_it_starts_after_its_end_and_beyond_the_limit():
    script = song_script((None, 1, None))
    run(script, run_out=True)
    mixed, vocal, accompaniment = torch.stack(script.inputs, dim=1).tolist()
    assert mixed == [EMPTY, 0, 1, 2, 3, 4, 5, EMPTY, EMPTY]
    assert vocal == [EMPTY, EMPTY, EMPTY, 100, END, EMPTY, EMPTY, EMPTY, EMPTY]
    assert accompaniment == [EMPTY, EMPTY, EMPTY, EMPTY, 200, 201, 202, 203, 204]


def test_raw_keeps_the_end_and_what_other_streams_sang_after_it():
    song = run(song_script((4, 2, None)), run_out=True)
    assert song.raw[0].tolist() == [
        [0, 1, 2, 3, END, EMPTY],
        [100, 101, END, EMPTY, EMPTY, EMPTY],
        [200, 201, 202, 203, 204, 205],
    ]
    assert song.codes[0].tolist() == [[0, 1], [100, 101], [200, 201]]
    assert song.ended


@pytest.mark.parametrize("ends", list(product((None, 0, 1, 4, 5), repeat=3)))
def test_stopping_early_changes_nothing_but_the_steps(ends):
    frames = [end for end in ends if end is not None]
    whole, early = run(song_script(ends), run_out=True), run(song_script(ends))
    assert early.codes.shape[2] == min(frames, default=FRAMES)
    assert torch.equal(early.codes, whole.codes)
    assert early.ended == whole.ended == bool(frames)
    assert early.steps <= whole.steps <= steps_for(FRAMES, DELAYS)


@pytest.mark.parametrize(
    ("ends", "steps"),
    [
        ((0, 0, 0), 4),  # the last stream's end, frame 0, is placed at step 4
        ((2, 4, 0), 7),  # that of the second stream, frame 4, at step 7
        ((1, 1, 1), 5),
        ((5, 2, 2), 6),
    ],
)
def test_running_out_stops_when_all_streams_have_ended(ends, steps):
    assert run(song_script(ends), run_out=True).steps == steps


@pytest.mark.parametrize(
    ("ends", "steps"),
    [
        ((2, None, None), 5),  # the end is placed at step 3, frame 1 of the last stream at step 5
        ((None, 2, None), 5),
        ((None, None, 2), 6),  # the end itself is placed at step 6
        ((5, None, 1), 5),
        ((4, 1, None), 4),
    ],
)
def test_the_loop_stops_as_soon_as_no_later_step_can_change_the_song(ends, steps):
    assert run(song_script(ends)).steps == steps


def test_one_frame_is_a_song():
    song = run(song_script((None, None, None)), frames=1)
    assert song.codes.tolist() == [[[0], [100], [200]]]


def test_an_end_at_once_is_a_song_without_frames():
    song = run(song_script((None, 0, None)))
    assert song.codes.shape == (1, 3, 0)
    assert song.ended


# Sampling in the loop ------------------------------------------------------------------------------------


def two_favourites(step: int) -> Tensor:
    out = torch.zeros(3, CODES + 1)
    out[:, 5], out[:, 6] = 1.05, 1.0
    return out


@pytest.mark.parametrize(
    ("window", "sung"), [(0, [5, 5, 5, 5, 5]), (1, [5, 6, 5, 6, 5]), (50, [5, 6, 5, 5, 5])]
)
def test_codes_of_the_last_steps_are_discouraged_in_every_stream(window, sung):
    song = run(
        Script(two_favourites, (0, 0, 0)), frames=5, sampling=replace(GREEDY, repetition_window=window)
    )
    assert song.codes[0].tolist() == [sung] * 3


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_prompt_codes_are_banned_from_the_mixed_stream_alone(temperature):
    def logits(step: int) -> Tensor:
        out = torch.zeros(3, CODES + 1)
        out[:, [7, 9]] = 50.0
        return out

    script = Script(logits, (0, 0, 0))
    song = run(
        script,
        frames=30,
        sampling=replace(GREEDY, temperature=temperature, top_k=CODES + 1),
        conditions=any_conditions(script.config, banned=(7, 9)),
    )
    assert not torch.isin(song.codes[0, 0], torch.tensor([7, 9])).any()
    assert song.codes[0, 1:].unique().tolist() == [7]


def test_only_the_mixed_stream_is_drawn():
    def logits(step: int) -> Tensor:
        out = torch.zeros(3, CODES + 1)
        out[:, END] = -50.0
        out[:, 11] = 0.1
        return out

    song = run(Script(logits, (0, 0, 0)), frames=20, sampling=Sampling(repetition_window=0))
    assert song.codes[0, 1:].unique().tolist() == [11]
    assert len(song.codes[0, 0].unique()) > 10


@pytest.fixture(scope="module")
def lelm() -> LeLM:
    return filled(LeLM(SMALL))


def composed(model: LeLM, seed: int, frames: int = 12, sampling: Sampling = Sampling()) -> Tensor:
    (song,) = compose(model, any_conditions(SMALL), frames, sampling, [seed])
    return song.codes


def test_a_seed_decides_the_song(lelm):
    assert torch.equal(composed(lelm, 3), composed(lelm, 3))
    assert not torch.equal(composed(lelm, 3), composed(lelm, 4))
    assert composed(lelm, 0xFFFF_FFFF_FFFF_FFFF).shape == (1, 3, 12)


def test_a_greedy_song_ignores_the_seed(lelm):
    greedy = Sampling(temperature=0.0)
    assert torch.equal(composed(lelm, 3, sampling=greedy), composed(lelm, 4, sampling=greedy))


def test_a_longer_limit_begins_with_the_same_song(lelm):
    longer, song = composed(lelm, 3, frames=20), composed(lelm, 3)
    assert torch.equal(longer[:, 0, :12], song[:, 0])
    # Within the delay of the limit the others no longer hear the mixed stream.
    assert torch.equal(longer[..., :9], song[..., :9])


def test_the_songs_randomness_leaves_the_global_one_alone(lelm):
    before = torch.get_rng_state()
    composed(lelm, 3)
    assert torch.equal(torch.get_rng_state(), before)


# Progress and Cancel -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [(None, None, None), (2, 1, 1)])
def test_every_step_is_reported_in_order(ends):
    reports: list[tuple[int, int]] = []
    song = run(song_script(ends), on_step=lambda done, total: reports.append((done, total)))
    assert reports == [(step, steps_for(FRAMES, DELAYS)) for step in range(1, len(reports) + 1)]
    assert song.steps <= len(reports) < song.steps + POLL_STEPS


class Cancelled(Exception):
    """What a caller may raise."""


def test_cancel_stops_within_the_step_and_frees_the_caches():
    script, living = song_script((None, None, None)), []

    def on_step(done: int, total: int) -> None:
        if done == 3:
            living.extend(store() is not None for store in script.stores)
            raise Cancelled

    with pytest.raises(Cancelled) as caught:
        run(script, on_step=on_step)
    assert len(script.inputs) == 3
    assert living == [True, True]
    del caught  # its traceback holds the frames of the loop
    assert [store() for store in script.stores] == [None, None]


def test_nothing_of_a_run_outlives_it():
    script = song_script((None, None, None))
    run(script)
    assert [store() for store in script.stores] == [None, None]
