"""Shorter ways to what tests and benches render: one song, all windows of one, a song in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from levo.config import RENDER_GUIDANCE, RENDER_STEPS, RenderSettings
from levo.lelm.compose import ComposeRun, Composition
from levo.progress import OnStep, ignore, part_of
from levo.renderer.model import Renderer
from levo.renderer.windows import Noise, RenderInput, WindowRenderer
from levo.song.latents import SongLatents
from levo.song.pipeline import SongRun
from levo.song.render import Prompt, SongRenderer, render_songs


def render_song(
    renderer: Renderer,
    codes: Tensor,
    noise: Noise,
    track: str = "mix",
    steps: int = RENDER_STEPS,
    guidance: float = RENDER_GUIDANCE,
    prompt: Prompt | None = None,
    device: torch.device | str = "cpu",
    on_step: OnStep = ignore,
) -> SongLatents:
    """Latents of one track of one song, codes [B, 3, T]."""
    settings = RenderSettings(track, steps, guidance)
    return render_songs(renderer, [codes], [noise], settings, prompt, device, on_step)[0]


def render_windows(
    renderer: Renderer,
    vocal: Tensor,
    accompaniment: Tensor,
    noise: Noise,
    steps: int,
    guidance: float,
    lead: Tensor | None = None,
    on_step: OnStep = ignore,
) -> Tensor:
    """Latents of all windows of one song, [B, Windows.total, 64]; overlaps stand there once."""
    songs = {0: RenderInput(vocal, accompaniment, noise)}
    rendering = WindowRenderer(renderer, steps, guidance, lead)
    total = steps * rendering.windows(vocal.shape[1]).count
    while rendering.next(songs, part_of(on_step, steps * rendering.number, total)):
        pass
    return rendering.latents(0)


def compose_and_render(
    composing: Callable[[], ComposeRun],
    rendering: SongRenderer,
    bring_renderer: Callable[[], Any] | None = None,
    on_step: OnStep = ignore,
) -> tuple[list[Composition], dict[int, SongLatents]]:
    """Takes and latents of a song in one go; early, unless there is something to call before rendering."""
    with composing() as run:
        song = SongRun(run, rendering, early=bring_renderer is None)
        while song.step(on_step):
            pass
        takes = run.result()
    if bring_renderer is not None and any(take.codes.shape[2] for take in takes):
        bring_renderer()
    return takes, song.finish(takes, on_step)
