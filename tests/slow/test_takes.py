"""The step that decodes: equal to a plain loop, the same for every take, and fit to be captured."""

from __future__ import annotations

import logging
from copy import deepcopy

import pytest
import torch
from support.cuda_stand_in import Cuda
from support.scripted_models import GREEDY, WAYS, Ends, any_conditions, assert_same
from support.small_models import WIDER_LELM as SMALL
from support.small_models import filled
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from levo.config import EMPTY, END, Sampling
from levo.lelm import cuda_graph, delay
from levo.lelm.compose import POLL_STEPS, BatchRun, ComposeRun, Composition, Execution, compose
from levo.lelm.cuda_graph import Replay, Residency, Resident
from levo.lelm.kv_cache import SPAN, FixedCache
from levo.lelm.model import LeLM
from levo.lelm.sampling import guide, penalise_repetition, sample
from levo.lelm.takes import SongInput, TakeBatch

pytestmark = pytest.mark.usefixtures("inference")

SECOND_CARD = torch.device("cuda", 1)


@pytest.fixture(scope="module")
def lelm() -> LeLM:
    # Equal codes need equal draws: in float32 another order of summing moves one draw in a hundred.
    return filled(LeLM(SMALL, dtype=torch.float64))


def plainly(model: LeLM, frames: int, how: Sampling, seed: int, banned: tuple[int, ...] = ()) -> Tensor:
    """The raw song [3, frames] by a loop with growing caches and lists that looks at every code."""
    conditions, delays = any_conditions(model.config, banned), model.config.delays
    steps = delay.steps_for(frames, delays)
    chances = torch.rand(steps + 1, generator=torch.Generator().manual_seed(seed))
    prefix = model.condition(conditions)
    caches = model.caches(2, model.config.prefix_length + steps, prefix.stage1)
    placed, ended = [torch.full((3,), EMPTY)], [False] * 3
    for step in range(1, steps + 1):
        inputs = placed[-1].view(1, 3, 1).expand(2, -1, -1)
        logits = guide(model(inputs, caches, prefix if step == 1 else None), how.guidance)
        recent = placed[max(0, step - how.repetition_window) : step] if how.repetition_window else []
        if recent:
            logits = penalise_repetition(logits, torch.stack(recent, dim=1), how.repetition_divisor)
        logits[0, conditions.prompt_codes] = -torch.inf
        codes = [
            sample(logits[0], chances[step], how.temperature, how.top_k, how.top_p),
            *logits[1:].argmax(-1),
        ]
        for k, shift in enumerate(delays):
            if ended[k] or not 0 <= step - 1 - shift < frames:
                codes[k] = torch.tensor(EMPTY)
            ended[k] |= int(codes[k]) == END
        placed.append(torch.stack(codes))
    return delay.undelay(torch.stack(placed, dim=1), frames, delays)


@pytest.mark.parametrize("way", WAYS)
def test_the_fixed_step_sings_what_a_plain_loop_sings(lelm: LeLM, way: str):
    (song,) = compose(lelm, any_conditions(SMALL, (3, 4)), 40, WAYS[way], [5], run_out=True)
    assert torch.equal(song.raw[0], plainly(lelm, 40, WAYS[way], 5, (3, 4)))


def test_a_song_longer_than_a_span_is_the_plain_loops(lelm: LeLM):
    frames = 2 * SPAN
    (song,) = compose(lelm, any_conditions(SMALL), frames, Sampling(), [1], run_out=True)
    assert torch.equal(song.raw[0], plainly(lelm, frames, Sampling(), 1))


# Takes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_each_take_is_what_its_seed_gives_alone(lelm: LeLM, way: str):
    seeds = [3, 4, 0xFFFF_FFFF_FFFF_FFFF, 3]
    takes = compose(lelm, any_conditions(SMALL, (3, 4)), 20, WAYS[way], seeds)
    for seed, take in zip(seeds, takes, strict=True):
        assert_same(take, compose(lelm, any_conditions(SMALL, (3, 4)), 20, WAYS[way], [seed])[0])
    if WAYS[way].temperature:
        assert not torch.equal(takes[0].raw, takes[1].raw)
    assert torch.equal(takes[0].raw, takes[3].raw)


def test_takes_end_each_in_its_time_and_the_loop_with_the_last():
    script = Ends((None, 4, 1))
    takes = compose(script, any_conditions(script.config), 30, GREEDY, [1, 2, 3])
    assert [take.codes.shape[2] for take in takes] == [30, 4, 1]
    assert [take.ended for take in takes] == [False, True, True]
    assert [take.steps for take in takes] == [33, 7, 4]
    assert (takes[1].raw[0, :, 6:] == EMPTY).all()


def test_the_prefix_is_run_once_for_all_takes():
    script = Ends((None, None, None, None))
    compose(script, any_conditions(script.config), 5, GREEDY, [1, 2, 3, 4])
    assert script.prefixes == 1
    assert len(script.inputs) == 8


# What capturing needs ------------------------------------------------------------------------------------


class Watch(TorchDispatchMode):
    """Notes operations that wait for the device, and the shapes of all results."""

    WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero")

    def __init__(self):
        super().__init__()
        self.waits: list[str] = []
        self.shapes: list[tuple] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._schema.name in self.WAITS:
            self.waits.append(func._schema.name)
        self.shapes.append((func._schema.name, tuple(out.shape) if isinstance(out, Tensor) else None))
        return out


class Reads(TorchFunctionMode):
    """Notes what brings numbers to Python and so waits for a device; `Watch` sees no `tolist` on a CPU."""

    READS = ("tolist", "item", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__")

    def __init__(self):
        super().__init__()
        self.calls: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in self.READS:
            self.calls.append(name)
        return func(*args, **(kwargs or {}))


def one_step(model: LeLM, how: Sampling, kept: int = 0):
    """A step under way, with its takes and caches."""
    begun = torch.arange(3 * kept).view(1, 3, kept) if kept else None
    run = ComposeRun(model, any_conditions(SMALL, (3,)), 600, how, [1, 2], kept=begun)
    assert run.step()
    takes, caches = run._takes, run._caches
    return takes, caches, lambda: takes.append_step(model(takes.last(), caches))


@pytest.mark.parametrize("kept", [0, 9])
@pytest.mark.parametrize("way", WAYS)
def test_a_step_never_waits_for_the_device_and_every_step_has_the_same_shapes(
    lelm: LeLM, way: str, kept: int
):
    takes, caches, step = one_step(lelm, WAYS[way], kept)
    seen = []
    for _ in range(3 + max(SMALL.delays)):  # beyond the kept frames of the streams that lag
        with Watch() as watch, Reads() as reads:
            step()
        assert (watch.waits, reads.calls) == ([], [])
        seen.append(watch.shapes)
    assert all(shapes == seen[0] for shapes in seen)
    with Reads() as reads:
        takes.over()
    assert reads.calls == ["tolist"]  # the look itself is what waits


def test_a_step_of_songs_never_waits_for_the_device(lelm: LeLM):
    songs = [SongInput(any_conditions(SMALL, (3,)), 600), SongInput(any_conditions(SMALL), 2)]
    with BatchRun(lelm, songs, Sampling()) as run:
        while not run.done:
            run.step()
        for _ in range(6):  # beyond the second song's limit
            with Watch() as watch, Reads() as reads:
                run._advance(0)
            assert (watch.waits, reads.calls) == ([], [])


def test_the_buffers_of_a_run_stay_where_they_are(lelm: LeLM):
    takes, caches, step = one_step(lelm, Sampling())

    def places() -> list[int]:
        mine = [t for owner in (takes, *caches) for t in vars(owner).values() if isinstance(t, Tensor)]
        assert len(mine) > 10
        return [t.data_ptr() for t in mine]

    before = places()
    for _ in range(3):
        step()
    assert places() == before


def test_a_fixed_cache_reads_no_more_than_the_span_it_needs():
    store, x = torch.zeros(1, 2, 1, 1, 4 * SPAN, 2), torch.ones(1, 1, 2)
    cache = FixedCache(store, SPAN - 1, torch.zeros(4 * SPAN, 2, 2))
    assert cache.span == SPAN
    _, shared = cache.begin(x)
    keys, _ = cache.extend(0, torch.ones(2, 1, 1, 1, 2))
    assert keys.shape[2] == SPAN
    assert keys[0, 0, :, 0].nonzero().flatten().tolist() == [SPAN - 1]
    assert shared.mask.scores[0, 0, 0].tolist() == [0.0] * SPAN
    assert shared.mask.lengths.tolist() == [SPAN]
    cache.advance(1)
    cache.reach(SPAN + 1)
    assert cache.span == 2 * SPAN
    _, shared = cache.begin(x)
    hidden = shared.mask.scores[0, 0, 0].isinf().nonzero().flatten()
    assert hidden.tolist() == list(range(SPAN + 1, 2 * SPAN))
    with pytest.raises(IndexError, match=f"{4 * SPAN} positions, {4 * SPAN + 1} are needed"):
        cache.reach(4 * SPAN + 1)


def captured_song(lelm: LeLM, residency: Residency) -> Composition:
    (song,) = compose(lelm, any_conditions(SMALL), 12, Sampling(), [5], execution=Execution(residency))
    return song


def test_a_step_runs_then_is_captured_then_replayed_for_each_shape(monkeypatch: pytest.MonkeyPatch):
    cuda, steps = Cuda().install(monkeypatch), []
    replay = Replay(
        lambda: cuda.events.append("step"), Resident(), lambda: steps.append("elsewhere"), SECOND_CARD
    )
    for shape in (256, 256, 256, 512, 512, 512):
        replay(shape)
    assert cuda.events == ["step", "capture", "step", "replay", "replay"] * 2
    assert steps == []
    assert cuda.captured_on == [SECOND_CARD] * 2  # whichever card is the current one


def test_replayed_steps_sing_what_plain_ones_do(lelm: LeLM, monkeypatch: pytest.MonkeyPatch):
    plain = compose(lelm, any_conditions(SMALL), 12, Sampling(), [5])[0]
    cuda = Cuda().install(monkeypatch)
    assert_same(captured_song(lelm, Resident()), plain)
    assert cuda.events == ["capture", *["replay"] * 13]  # of 15 steps
    assert cuda.captured_on == [torch.device("cpu")]  # where the song's buffers are
    assert cuda.alive == []


def test_a_refused_capture_is_said_once_and_the_song_goes_on(
    caplog: pytest.LogCaptureFixture, lelm: LeLM, monkeypatch: pytest.MonkeyPatch
):
    plain = compose(lelm, any_conditions(SMALL), 12, Sampling(), [5])[0]
    cuda = Cuda("operation not permitted when stream is capturing\nmore").install(monkeypatch)
    with caplog.at_level(logging.WARNING, logger=cuda_graph.__name__):
        song = captured_song(lelm, Resident())
    assert_same(song, plain)
    refused = "LeLM runs without a CUDA graph (operation not permitted when stream is capturing)."
    assert caplog.messages == [refused]
    assert cuda.events == ["capture"]


def test_a_shape_that_is_refused_is_not_tried_again_and_others_are(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    cuda = Cuda("out of memory").install(monkeypatch)
    replay = Replay(lambda: torch.zeros(1), Resident(), lambda: None, SECOND_CARD)
    with caplog.at_level(logging.WARNING, logger=cuda_graph.__name__):
        for shape in (256, 256, 256, 512, 512):
            replay(shape)
    assert cuda.events == ["capture", "capture"]
    assert len(caplog.messages) == 1


class Pages:
    """Weights that are on the device, are elsewhere, or come back to another place, by the step.

    Whatever a graph still reads at a place that they have left is not a number.
    """

    def __init__(self, model: LeLM, away: set[int], moved: set[int] = frozenset()):
        self._model, self._away = model, away  # steps during which they are elsewhere
        self._moved = moved  # steps before which they went and came back
        self._step = self._place = 0
        self.held = False
        self.answers: list[int | None] = []

    def hold(self) -> int | None:
        assert not self.held
        self._step += 1
        if self._step in self._away | self._moved:
            self._move()
        self.held = self._step not in self._away
        self.answers.append(self._place if self.held else None)
        return self.answers[-1]

    def release(self) -> None:
        assert self.held
        self.held = False

    def _move(self) -> None:
        self._place += 1
        for parameter in self._model.parameters():
            old = parameter.data
            parameter.data = old.clone()
            old.fill_(torch.nan)


@pytest.mark.parametrize("moved", [set(), {5}, {6, 7, 12}])
@pytest.mark.parametrize("away", [set(), {4}, {6, 7, 8}, {1, 3, 5, 7, 9, 11}, set(range(1, 99))])
def test_no_step_is_replayed_with_weights_that_have_moved(
    lelm: LeLM, monkeypatch: pytest.MonkeyPatch, away: set[int], moved: set[int]
):
    plain = compose(lelm, any_conditions(SMALL), 12, Sampling(), [5])[0]
    cuda, model = Cuda().install(monkeypatch), deepcopy(lelm)
    pages = Pages(model, away, moved)
    assert_same(captured_song(model, pages), plain)
    assert len(pages.answers) == 14  # every step asks
    assert not pages.held
    places = [place for place in pages.answers if place is not None]
    # One step runs first; from then on each place is captured once and every step there replayed.
    assert cuda.events.count("replay") == max(0, len(places) - 1)
    assert cuda.events.count("capture") == len(set(places[1:]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_weights_are_let_go_after_a_cancel(lelm: LeLM, monkeypatch: pytest.MonkeyPatch, error):
    cuda, pages = Cuda().install(monkeypatch), Pages(lelm, set())

    def stop(done: int, total: int) -> None:
        if done == 6:
            raise error

    with pytest.raises(error):
        compose(lelm, any_conditions(SMALL), 12, execution=Execution(pages), on_step=stop)
    assert pages.answers and not pages.held
    assert "replay" in cuda.events and cuda.alive == []


def test_the_loop_looks_at_the_device_only_now_and_then(lelm: LeLM, monkeypatch: pytest.MonkeyPatch):
    looks = []
    over = TakeBatch.over
    monkeypatch.setattr(TakeBatch, "over", lambda self: looks.append(1) or over(self))
    compose(lelm, any_conditions(SMALL), 60, Sampling(temperature=0.0))
    assert len(looks) <= 60 / POLL_STEPS + 3
