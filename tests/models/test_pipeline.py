"""Composing and rendering in one go: the same song as one after the other, and heard earlier."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from support.scripted_models import GREEDY, Ends, any_conditions, song_script
from support.short_runs import compose_and_render
from support.small_models import SMALL_LELM as SMALL
from support.small_models import SMALL_RENDERER as FLOW
from support.small_models import filled
from torch import Tensor

from levo import tiny
from levo.config import RenderSettings, Sampling
from levo.lelm.compose import ComposeRun, Composition
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.song.latents import SongLatents
from levo.song.render import Prompt, SongRenderer, seeded_noise

pytestmark = pytest.mark.usefixtures("inference")

WINDOW, OVERLAP, DELAY, STEPS = 20, 5, 3, 2


TAKES = 4  # at most
Run = Callable[..., ComposeRun]  # of all takes; a kind of it may be given
Made = tuple[list[Composition], dict[int, SongLatents]]


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return filled(Renderer(FLOW))


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    codes = torch.arange(4)[None]
    return Prompt(codes, codes + 9, torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(1)))


def scripted(ends: tuple[int | None, ...], frames: int) -> Run:
    """Composes takes that end at these frames."""

    def run(kind: type[ComposeRun] = ComposeRun) -> ComposeRun:
        script = Ends(ends)  # knows how far it is: another one for each run
        return kind(script, any_conditions(script.config), frames, GREEDY, range(len(ends)))

    return run


def rendering_of(renderer: Renderer, takes: int, **options) -> SongRenderer:
    names = ("track", "guidance")
    settings = RenderSettings(steps=STEPS, **{name: options.pop(name) for name in names if name in options})
    noises = [seeded_noise(7, 1, FLOW) for _ in range(takes)]
    return SongRenderer(renderer, noises, settings, **options)


def together(run: Run, renderer: Renderer, **options) -> Made:
    """Takes and latents of one go."""
    names = ("bring_renderer", "on_step")
    mine = {name: options.pop(name) for name in names if name in options}
    return compose_and_render(run, rendering_of(renderer, TAKES, **options), **mine)


def one_by_one(run: Run, renderer: Renderer, **options) -> tuple[list[Composition], list[SongLatents]]:
    """Takes, and latents of those that have a frame."""
    with run() as composing:
        while composing.step():
            pass
        takes = composing.result()
    songs = {n: take.codes for n, take in enumerate(takes) if take.codes.shape[2]}
    return takes, rendering_of(renderer, len(takes), **options).finish(songs) if songs else []


def assert_same(made: Made, expected: tuple[list[Composition], list[SongLatents]]) -> None:
    takes, latents = made
    for ours, theirs in zip(takes, expected[0], strict=True):
        assert torch.equal(ours.codes, theirs.codes)
        assert (ours.ended, ours.steps) == (theirs.ended, theirs.steps)
    assert list(latents) == [n for n, take in enumerate(takes) if take.codes.shape[2]]
    for ours, theirs in zip(latents.values(), expected[1], strict=True):
        assert torch.equal(ours.samples, theirs.samples)
        assert torch.equal(ours.tail, theirs.tail)
        assert ours.prompt_frames == theirs.prompt_frames


# The same song -------------------------------------------------------------------------------------------

LIMITS = [1, 19, 20, 21, 34, 35, 36, 51]
EARLY = [0, 1, 16, 17, 19, 20, 21, 34, 35, 36, 50]  # around the borders of windows


@pytest.mark.parametrize("led", [False, True])
@pytest.mark.parametrize("frames", LIMITS)
def test_a_song_cut_at_its_limit_is_the_one_of_separate_runs(renderer, prompt, frames, led):
    how = {"prompt": prompt} if led else {}
    run = scripted((None,), frames)
    assert_same(together(run, renderer, **how), one_by_one(run, renderer, **how))


@pytest.mark.parametrize("end", EARLY)
def test_a_song_that_ends_by_itself_is_the_one_of_separate_runs(renderer, end):
    run = scripted((end,), 60)
    assert_same(together(run, renderer), one_by_one(run, renderer))


@pytest.mark.parametrize("led", [False, True])
@pytest.mark.parametrize("track", ["mix", "vocals"])
@pytest.mark.parametrize("ends", [(None, 36, 0, 20), (35, 34, 1), (0, None), (0, 0)])
def test_takes_are_those_of_separate_runs(renderer, prompt, ends, track, led):
    how = {"track": track, "guidance": 1.0 if track == "vocals" else 1.5}
    how |= {"prompt": prompt} if led else {}
    run = scripted(ends, 52)
    assert_same(together(run, renderer, **how), one_by_one(run, renderer, **how))


@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_song_of_a_real_model_is_the_one_of_separate_runs(renderer, seed):
    model = LeLM(SMALL)
    tiny.init_weights(model)
    for head in model.heads:
        head.weight[-1] *= 3  # ends by itself, each stream where it likes
    run = partial(ComposeRun, model, any_conditions(SMALL), 70, Sampling(), [seed, seed + 10])
    assert_same(together(run, renderer), one_by_one(run, renderer))


@pytest.mark.parametrize("ends", [(30, None, None), (None, 22, None), (None, None, 20), (40, 33, 36)])
def test_an_end_in_any_stream_comes_too_late_to_change_a_window_that_is_made(renderer, ends):
    def run() -> ComposeRun:
        script = song_script(ends)
        return ComposeRun(script, any_conditions(script.config), 50, GREEDY, [0])

    assert_same(together(run, renderer), one_by_one(run, renderer))


# Early sound ---------------------------------------------------------------------------------------------


def events(ends: tuple[int | None, ...], frames: int, renderer: Renderer, **options) -> list:
    """Steps of composing, and windows (take, first frame, frames) between them."""
    seen: list = []
    run = scripted(ends, frames)
    rendering = rendering_of(
        renderer,
        TAKES,
        on_window=lambda take, start, latents: seen.append((take, start, latents.shape[2])),
    )

    class Noting(ComposeRun):
        def step(self) -> bool:
            more = super().step()
            if more:
                seen.append(self.done)
            return more

    compose_and_render(partial(run, Noting), rendering, **options)
    return seen


def test_a_window_is_rendered_as_soon_as_its_last_frame_is_final(renderer):
    seen = events((None,), 52, renderer)
    windows = [(seen[at - 1], event) for at, event in enumerate(seen) if isinstance(event, tuple)]
    first, second, third = WINDOW + DELAY, WINDOW + 15 + DELAY, WINDOW + 30 + DELAY
    assert windows[:3] == [(first, (0, 0, 20)), (second, (0, 20, 15)), (third, (0, 35, 15))]
    assert windows[3][1] == (0, 50, 2)
    assert seen[-2] == 52 + DELAY


def test_without_room_for_both_models_rendering_waits_and_then_brings_the_renderer(renderer):
    seen: list = []
    made = events((None,), 40, renderer, bring_renderer=lambda: seen.append("brought"))
    assert seen == ["brought"]
    assert made == [*range(1, 40 + DELAY + 1), (0, 0, 20), (0, 20, 15), (0, 35, 5)]


def test_the_renderer_is_not_brought_for_a_song_without_frames(renderer):
    assert events((0,), 40, renderer, bring_renderer=lambda: pytest.fail("not needed"))


@pytest.mark.parametrize("early", [True, False])
def test_windows_handed_over_make_up_the_songs(renderer, prompt, early):
    pieces: dict[int, list[Tensor]] = {}

    def on_window(take: int, start: int, latents: Tensor) -> None:
        assert start == sum(piece.shape[2] for piece in pieces.get(take, []))
        assert latents.device.type == "cpu"
        pieces.setdefault(take, []).append(latents)

    run = scripted((None, 0, 33, 7), 52)
    how = {} if early else {"bring_renderer": lambda: None}
    _, latents = together(run, renderer, prompt=prompt, on_window=on_window, **how)
    assert list(pieces) == list(latents) == [0, 2, 3]
    for take, song in latents.items():
        assert torch.equal(torch.cat(pieces[take], dim=2), song.samples)


# Progress and Cancel -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [(None,), (21,), (7, 30), (0,)])
@pytest.mark.parametrize("early", [True, False])
def test_progress_goes_over_both_models_to_the_end(renderer, ends, early):
    reports: list[tuple[int, int]] = []
    how = {} if early else {"bring_renderer": lambda: None}
    on_step = lambda done, total: reports.append((done, total))  # noqa: E731
    takes, latents = together(scripted(ends, 52), renderer, on_step=on_step, **how)
    assert [done for done, _ in reports] == list(range(1, len(reports) + 1))
    assert reports[0][1] == 52 + DELAY + 4 * STEPS
    assert all(done <= total for done, total in reports)
    if latents:
        assert reports[-1][0] == reports[-1][1]


class Cancelled(Exception):
    """What a caller may raise."""


@pytest.mark.parametrize("at", [1, WINDOW + DELAY, WINDOW + DELAY + 1, 52 + DELAY + 3 * STEPS + 1])
def test_cancel_stops_within_the_step(renderer, at):
    reports = []

    def on_step(done: int, total: int) -> None:
        reports.append(done)
        if done == at:
            raise Cancelled

    with pytest.raises(Cancelled):
        together(scripted((None,), 52), renderer, on_step=on_step)
    assert reports == list(range(1, at + 1))
