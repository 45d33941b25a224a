"""A song composed and rendered in one go: a window of 40 s is rendered as soon as its codes are final.

The vocal and accompaniment streams come 10 s after the mixed one, and an end in any stream cuts the song.
So a frame is final when its step of the latest stream was placed, and a window when its last frame is: then
no later code, no end and no length of the song changes it, since only what is shorter than its windows is
filled up. On one device both models take turns, which costs no time and gains the early sound.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..lelm.compose import Composition
from .render import OnStep, SongLatents, SongRendering

# `levo.lelm.compose.compose` with all but on_step and on_frames given.
Compose = Callable[..., list[Composition]]


def compose_and_render(
    compose: Compose,
    rendering: SongRendering,
    frames: int,
    bring_renderer: Callable[[], object] | None = None,
    on_step: OnStep = lambda done, total: None,
) -> tuple[list[Composition], dict[int, SongLatents]]:
    """Make takes of a song, each as composing and then rendering would make it.

    Args:
        compose: composes all takes.
        rendering: of all takes, with nothing rendered yet.
        frames: the limit that `compose` has.
        bring_renderer: called once the takes are composed, and before any is rendered. Without it the
            renderer is there already, and windows are rendered while composing goes on.
        on_step: called with (steps of both models done, in all); may raise to stop.

    Returns:
        The takes, and the latents of those that have a frame, by their place among the takes.
    """
    done, total = 0, 0

    def step(*_: int) -> None:
        nonlocal done
        done += 1
        on_step(done, total)

    def composed(_: int, most: int) -> None:
        nonlocal total
        total = most + rendering.steps_for(frames)
        step()

    def on_frames(final: int, codes: Callable[[], list[Tensor]]) -> None:
        while bring_renderer is None and final >= rendering.needs and rendering.next(_sung(codes()), step):
            pass

    takes = compose(on_step=composed, on_frames=on_frames)
    sung = _sung([take.codes for take in takes])
    if not sung:
        return takes, {}
    if bring_renderer is not None:
        bring_renderer()
    longest = max(codes.shape[2] for codes in sung.values())
    total = done + rendering.steps_for(longest) - rendering.steps_done
    latents = rendering.finish(sung, step)
    return takes, dict(zip(sung, latents, strict=True))


def _sung(codes: list[Tensor]) -> dict[int, Tensor]:
    """Those of the takes that have a frame."""
    return {number: take for number, take in enumerate(codes) if take.shape[2]}
