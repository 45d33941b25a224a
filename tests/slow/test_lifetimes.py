"""Nothing of a run outlives it: caches, takes, windows and chunks go with a return, Cancel or a fault.

The collector is off, because what waits for it keeps a card's memory meanwhile.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import torch
from support.births import Births
from support.scripted_models import any_conditions
from support.short_runs import compose_and_render
from support.small_models import SMALL_RENDERER as FLOW
from support.small_models import WIDER_LELM as SMALL
from support.small_models import filled
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from levo import tiny
from levo.config import RenderSettings, Sampling
from levo.lelm.compose import BatchRun, ComposeRun, compose
from levo.lelm.model import LeLM
from levo.lelm.takes import SongInput
from levo.renderer.model import Renderer
from levo.song.decode import decode_song
from levo.song.latents import SongLatents
from levo.song.render import SongRenderer, render_songs, seeded_noise
from levo.vae.oobleck import Vae

FRAMES = 40  # three windows
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_collector(inference: None, one_thread: None) -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def composing(seeds: int) -> Run:
    return partial(
        compose, filled(LeLM(SMALL)), any_conditions(SMALL), FRAMES, Sampling(top_k=50), range(seeds)
    )


def noises(count: int) -> list:
    return [seeded_noise(1, 1, FLOW) for _ in range(count)]


def rendering() -> Run:
    songs = [torch.arange(3 * frames).view(1, 3, -1) for frames in (FRAMES, 7)]
    return partial(render_songs, filled(Renderer(FLOW)), songs, noises(2), RenderSettings(steps=2))


def decoding() -> Run:
    latents = SongLatents(torch.zeros(1, 64, 100), torch.zeros(1, 64, 9), window=60, overlap=40)
    return partial(decode_song, filled(Vae(tiny.VAE)), latents, chunk=64)


def batch() -> Run:
    model, songs = (
        filled(LeLM(SMALL)),
        [SongInput(any_conditions(SMALL), FRAMES + n, range(1 + n)) for n in range(2)],
    )

    def run(on_step: Callable[[int, int], None]) -> Any:
        with BatchRun(model, songs) as composing:
            while composing.step():
                on_step(composing.done, composing.total)
            return composing.result()

    return run


def in_one() -> Run:
    lelm, renderer = filled(LeLM(SMALL)), filled(Renderer(FLOW))
    start = partial(ComposeRun, lelm, any_conditions(SMALL), FRAMES, Sampling(top_k=50), range(2))

    def run(on_step: Callable[[int, int], None]) -> Any:
        rendering = SongRenderer(renderer, noises(2), RenderSettings(steps=2))
        return compose_and_render(start, rendering, on_step=on_step)

    return run


RUNS = {
    "compose": lambda: composing(1),
    "compose takes": lambda: composing(3),
    "compose songs": batch,
    "render": rendering,
    "decode": decoding,
    "song": in_one,
}


class Stopped(BaseException):
    """Cancel, which in newer ComfyUI is not an Exception."""


def tensors_of(result: Any) -> list[Tensor]:
    """All that a run gives."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, (list, tuple)):
        return [tensor for each in result for tensor in tensors_of(each)]
    if isinstance(result, dict):
        return tensors_of(list(result.values()))
    return tensors_of(list(vars(result).values())) if hasattr(result, "__dict__") else []


def stopped(run: Run, at: int, error: BaseException) -> Births:
    """Run until step `at` and let `error` out of it."""

    def on_step(done: int, total: int) -> None:
        if done >= at:
            raise error

    with Births() as births:
        try:
            run(on_step=on_step)
        except (Stopped, RuntimeError) as caught:
            assert caught is error
            error.__traceback__ = None  # holds the frames of the run
        else:
            pytest.fail("ran to its end")
    return births


@pytest.mark.parametrize("name", RUNS)
def test_only_what_is_returned_lives(name: str):
    run = RUNS[name]()
    with Births() as births:
        result = run(on_step=lambda done, total: None)
    assert len(births) > 100
    assert births.living(but=tensors_of(result)) == []


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("error", [Stopped(), RuntimeError("out of memory")], ids=["cancel", "fault"])
@pytest.mark.parametrize("at", [1, 5])
def test_nothing_lives_when_a_run_is_stopped(name: str, error: BaseException, at: int):
    assert stopped(RUNS[name](), at, error).living() == []


@pytest.mark.parametrize("name", RUNS)
def test_a_layer_fails_in_the_middle_and_nothing_lives(name: str):
    run, calls = RUNS[name](), 0

    def fail(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise RuntimeError("CUDA error")

    hook = register_module_forward_pre_hook(fail)
    with Births() as births, suppress(RuntimeError):
        run(on_step=lambda done, total: None)
    hook.remove()
    assert calls == 30
    assert births.living() == []


@pytest.mark.parametrize("name", ["decode", "song"])
def test_ten_runs_hold_no_more_than_one(name: str):
    run, held = RUNS[name](), []
    for _ in range(10):
        run(on_step=lambda done, total: None)
        held.append(sum(issubclass(type(each), Tensor) for each in gc.get_objects()))
    assert held[1:] == held[:1] * 9


def test_the_check_sees_a_tensor_that_lives_on():
    kept = []
    with Births() as births:
        kept.append(torch.ones(3, 4) + 1)
    assert births.living() == [[3, 4]]
    assert births.living(but=kept) == []
