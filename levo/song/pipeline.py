"""A song composed and rendered in one go: a window of 40 s is rendered as soon as its codes are final.

The vocal and accompaniment streams come 10 s after the mixed one, and an end in any stream cuts the song.
So a frame is final when its step of the latest stream was placed, and a window when its last frame is: then
no later code, no end and no length of the song changes it, since only what is shorter than its windows is
filled up. On one device both models take turns, which costs no time and gains the early sound.
"""

from __future__ import annotations

from torch import Tensor

from ..lelm.compose import ComposeRun, Composition
from ..progress import OnStep, ignore, part_of
from .render import SongLatents, SongRenderer


class SongRun:
    """Takes of a song under way, each as composing and then rendering would make it.

    `while run.step(): ...`, then `run.finish()`.
    """

    def __init__(self, composing: ComposeRun, rendering: SongRenderer, early: bool):
        """Start with both at their beginnings.

        Args:
            composing: of all takes.
            rendering: of all takes.
            early: the renderer is there already, and windows are rendered while composing goes on.
        """
        self._composing, self._rendering, self._early = composing, rendering, early
        self._total = composing.total + rendering.steps_for(composing.frames)  # at most

    def step(self, on_step: OnStep = ignore) -> bool:
        """Compose a step, and render the windows whose codes it made final; False if there is no step left.

        Args:
            on_step: called with (steps of both models done, in all); may raise to stop.
        """
        composing, rendering = self._composing, self._rendering
        if not composing.step():
            return False
        on_step(composing.done + rendering.steps_done, self._total)
        while self._early and composing.final_frames >= rendering.needs:
            before = composing.done + rendering.steps_done
            if not rendering.next(_with_frames(composing.codes()), part_of(on_step, before, self._total)):
                break
        return True

    def finish(self, takes: list[Composition], on_step: OnStep = ignore) -> dict[int, SongLatents]:
        """Render what is left.

        Args:
            takes: the result of composing.
            on_step: as of `step`.

        Returns:
            Latents of the takes that have a frame, by their place among the takes.
        """
        songs = _with_frames([take.codes for take in takes])
        if not songs:
            return {}
        total = self._composing.done + self._rendering.steps_for(
            max(codes.shape[2] for codes in songs.values())
        )
        latents = self._rendering.finish(songs, part_of(on_step, self._composing.done, total))
        return dict(zip(songs, latents, strict=True))


def _with_frames(codes: list[Tensor]) -> dict[int, Tensor]:
    """Those of the takes that have a frame, by their place."""
    return {number: take for number, take in enumerate(codes) if take.shape[2]}
