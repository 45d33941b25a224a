"""A song of any length as windows of 40 s, each knowing the last 10 s of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from ..config import RendererConfig
from ..layers.tables import tile
from ..progress import OnStep, ignore
from .model import Renderer
from .solver import solve

Noise = Callable[[int], Tensor]  # window number -> [B, window, 64] float32


@dataclass(frozen=True)
class Windows:
    """Where the windows of `frames` frames lie."""

    frames: int
    window: int
    hop: int

    @classmethod
    def over(cls, frames: int, config: RendererConfig) -> Windows:
        return cls(frames, config.window, config.hop)

    @property
    def count(self) -> int:
        return 1 + max(0, ceil((self.frames - self.window) / self.hop))

    @property
    def total(self) -> int:
        """Frames that the windows cover: `frames` or more."""
        return self.window + self.hop * (self.count - 1)

    def spans(self) -> list[tuple[int, int]]:
        """First and one past last frame of each window."""
        return [(n * self.hop, n * self.hop + self.window) for n in range(self.count)]


@dataclass(frozen=True)
class RenderInput:
    """What one song of a call is made from."""

    vocal: Tensor  # [B, T] codes, T >= 1, including those of a prompt
    accompaniment: Tensor  # [B, T]
    noise: Noise


class WindowRenderer:
    """Songs whose windows are made one after the other; those of one number are one batch.

    Each song comes out as it would alone.
    """

    def __init__(
        self, renderer: Renderer, steps: int, guidance: float, prompt_latents: Tensor | None = None
    ):
        """Start with nothing made.

        Args:
            renderer: on the device of the codes (or streaming to it).
            steps, guidance: of the solver.
            prompt_latents: latents [1 or B, n, 64] of a style prompt, the first frames of every song.
        """
        self.renderer, self.steps, self.guidance = renderer, steps, guidance
        self.prompt_latents = prompt_latents
        self.number = 0  # of the window that comes next
        self._pieces: dict[int, list[Tensor]] = {}

    @property
    def span(self) -> tuple[int, int]:
        """First and one past last frame of the next window."""
        start = self.number * self.renderer.config.hop
        return start, start + self.renderer.config.window

    @property
    def fresh(self) -> tuple[int, int]:
        """First and one past last frame that the next window adds."""
        start, end = self.span
        return start + (self.renderer.config.overlap if self.number else 0), end

    def windows(self, frames: int) -> Windows:
        """Where the windows of so many frames lie."""
        return Windows.over(frames, self.renderer.config)

    def next(self, takes: Mapping[int, RenderInput], on_step: OnStep = ignore) -> dict[int, Tensor]:
        """Make the next window of all songs that have one.

        Args:
            takes: the songs, each under a number of its own, and the same at every call. Of a song that
                goes on, at least the codes of the window are there.
            on_step: called with (solver steps done, steps).

        Returns:
            For each of those songs the frames [B, T, 64] that this window adds.
        """
        plans = {n: self.windows(take.vocal.shape[1]) for n, take in takes.items()}
        going = {n: take for n, take in takes.items() if self.number < plans[n].count}
        if not going:
            return {}
        noise = torch.cat([take.noise(self.number) for take in going.values()])
        known = self._known(going, len(noise))
        condition = self._condition([(take, plans[n]) for n, take in going.items()])
        latents = solve(
            self.renderer,
            condition,
            noise.to(condition.device),
            self.renderer.normalise(known.to(condition.device)),
            self.steps,
            self.guidance,
            on_step,
        )
        start, end = self.fresh
        added = self.renderer.denormalise(latents)[:, start - end :]
        pieces = added.split([len(take.vocal) for take in going.values()])
        for n, piece in zip(going, pieces, strict=True):
            self._pieces.setdefault(n, []).append(piece)
        self.number += 1
        return dict(zip(going, pieces, strict=True))

    def latents(self, song: int) -> Tensor:
        """All that was made of a song, [B, T, 64]."""
        return torch.cat(self._pieces[song], dim=1)

    def _known(self, songs: Iterable[int], rows: int) -> Tensor:
        """The first frames of the next window."""
        if self.number:
            return torch.cat([self._pieces[n][-1][:, -self.renderer.config.overlap :] for n in songs])
        if self.prompt_latents is None:
            return torch.zeros(rows, 0, self.renderer.config.latent)
        return self.prompt_latents.repeat(rows // len(self.prompt_latents), 1, 1)

    def _condition(self, songs: Iterable[tuple[RenderInput, Windows]]) -> Tensor:
        """Features of both tracks' codes of the next window, all songs below each other."""
        window = slice(*self.span)
        tracks = [
            [tile(codes, plan.total)[:, window] for codes in (take.vocal, take.accompaniment)]
            for take, plan in songs
        ]
        return self.renderer.condition(*(torch.cat(rows) for rows in zip(*tracks, strict=True)))
