"""Streams of several takes under way, of one song or of many: what is placed at each step, where each ends.

Everything lives on the device and no decision waits for it, so that a step can be captured and replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import CODES, EMPTY, END, Sampling
from . import delay
from .conditions import Conditions
from .sampling import guide, likeliest, penalise_repetition, sample

NEVER = 1 << 40  # a step that does not come
LARGEST = 1e9  # logits beyond it are no logits


class LogitsError(ValueError):
    """LeLM gave logits that nothing can be drawn from; in one sentence."""


@dataclass(frozen=True)
class SongInput:
    """A song of a batch."""

    conditions: Conditions  # from `conditions.prepare`
    frames: int  # the limit of every stream
    seeds: Sequence[int] = (0,)  # one a take
    kept: Tensor | None = None  # codes [1, 3, K] that every take begins with, K <= frames


class TakeBatch:
    """All takes of some songs, each with the draws of its own seed and the limit of its song.

    Nothing of a take reaches another. Frames that are kept of an earlier song stand in `placed` from the
    start. Streams lag, so the mixed stream is sampled while the others still have kept frames; a step
    leaves those as they are.
    """

    def __init__(
        self,
        songs: Sequence[SongInput],
        delays: Sequence[int],
        sampling: Sampling,
        run_out: bool,
        device: torch.device,
    ):
        """Start with nothing placed but what is kept.

        Args:
            songs: one or more; their takes lie below each other.
            delays: of the streams, in frames.
            sampling: how codes are drawn.
            run_out: a take is over when all its streams have ended; else as soon as no later step can
                change what is left of it.
            device: where everything lives.

        Raises:
            ValueError: songs keep different numbers of frames: they would begin at different steps.
        """
        self.delays = tuple(delays)
        self.sampling, self.run_out = sampling, run_out
        takes = [(song, seed) for song in songs for seed in song.seeds]
        self.frames = tuple(song.frames for song, _ in takes)  # at most, of each take
        self.limits = tuple(delay.steps_for(frames, delays) for frames in self.frames)  # the same in steps
        self.steps = max(self.limits)
        shape = len(takes), len(self.delays), self.steps + 1
        placed, active = torch.full(shape, EMPTY), torch.zeros(shape, dtype=torch.bool)
        chances = torch.zeros(len(takes), self.steps + 1)
        banned = torch.zeros(len(takes), CODES + 1, dtype=torch.bool)
        for row, (song, seed) in enumerate(takes):
            count = self.limits[row] + 1
            chances[row, :count] = torch.rand(count, generator=torch.Generator().manual_seed(seed))
            active[row, :, :count] = delay.active(song.frames, delays)
            banned[row, song.conditions.prompt_codes] = True
            if song.kept is not None:
                ours = delay.delay(song.kept[0], delays)
                placed[row, :, : ours.shape[1]] = ours
        self._chances, self._active, self._banned = (x.to(device) for x in (chances, active, banned))
        self.placed = placed.to(device)
        self._delays = torch.tensor(list(delays), device=device)
        self._past = torch.arange(-sampling.repetition_window, 0, device=device)
        self.first = 1 + min(delays) + _kept(songs)  # step to be sampled: all before it is known
        self._step = torch.full((1,), self.first, device=device)  # the one to be placed
        self._ends = torch.full(shape[:2], NEVER, device=device)  # step of each END
        self._over = torch.full(shape[:1], NEVER, device=device)
        self._largest = torch.zeros((), device=device)  # of all logits so far, without sign; NaN stays

    def known(self, take: int) -> Tensor:
        """Codes [2, 3, first] of all steps before the first sampled one, for both rows of a take."""
        return self.placed[take, :, : self.first].expand(2, -1, -1)

    def last(self) -> Tensor:
        """Codes [2 N, 3, 1] placed last: of all takes for the conditional rows, again for the null rows."""
        return self.placed.index_select(2, self._step - 1).repeat(2, 1, 1)

    def append_step(self, logits: Tensor) -> None:
        """Sample what is not kept from [2 N, 3, CODES + 1] logits and go one step on."""
        guided = guide(logits.float().unflatten(0, (2, -1)), self.sampling.guidance)
        self._largest.copy_(torch.maximum(self._largest, guided.abs().amax()))
        codes = self._sample(guided)
        singing = self._active.index_select(2, self._step)[..., 0] & (self._ends == NEVER)
        kept = self.placed.index_select(2, self._step)[..., 0]
        codes = torch.where(kept != EMPTY, kept, torch.where(singing, codes, EMPTY))
        self.placed.index_copy_(2, self._step, codes[..., None])
        self._ends.copy_(torch.where(codes == END, self._step, self._ends))
        self._over.copy_(torch.where(self._is_over(), torch.minimum(self._over, self._step), self._over))
        self._step += 1

    def over(self) -> list[int]:
        """For each take the step after which it ended, NEVER if it has not; waits for the device.

        Raises:
            LogitsError: a step had logits that are none. They are looked at here and not in the step, which
                must not wait.
        """
        sound = (self._largest <= LARGEST).long()
        *over, is_sound = torch.cat((self._over, sound[None])).tolist()
        if not is_sound:
            raise LogitsError(
                "LeLM made numbers that are no logits (NaN, infinite or beyond sense); load it in fp32, "
                "lower guidance, or download its file again."
            )
        return over

    def final(self, step: int) -> int:
        """Frames of which all streams are placed with this step: no later one changes them."""
        return max(0, step - max(self.delays))

    def codes(self, frames: int) -> list[Tensor]:
        """The first frames of each take, [1, 3, <= frames] on the CPU; waits for the device."""
        return [
            until_end(delay.undelay(take, min(frames, most), self.delays))[None]
            for take, most in zip(self.placed.cpu(), self.frames, strict=True)
        ]

    def _sample(self, logits: Tensor) -> Tensor:
        sampling = self.sampling
        if sampling.repetition_window:  # what was before the start is EMPTY, as the first column is
            recent = self.placed.index_select(2, (self._step + self._past).clamp(min=0))
            logits = penalise_repetition(logits, recent, sampling.repetition_divisor)
        mixed = logits[:, 0].masked_fill(self._banned, -torch.inf)
        chance = self._chances.index_select(1, self._step)[:, 0]
        mixed = sample(mixed, chance, sampling.temperature, sampling.top_k, sampling.top_p)
        return torch.cat((mixed[:, None], likeliest(logits[:, 1:])), dim=1)

    def _is_over(self) -> Tensor:
        ended = self._ends != NEVER
        if self.run_out:
            return ended.all(-1)
        first = (self._ends - 1 - self._delays).amin(-1)  # frame of the first END
        complete = self._step - self._delays.amax() >= first
        return ended.all(-1) | (ended.any(-1) & complete)


def _kept(songs: Sequence[SongInput]) -> int:
    """How many frames all songs keep; raises ValueError where they differ."""
    known = {0 if song.kept is None else song.kept.shape[2] for song in songs}
    if len(known) > 1:
        raise ValueError("Songs that keep different numbers of frames cannot be composed in one batch.")
    return known.pop()


def until_end(raw: Tensor) -> Tensor:
    """Codes [streams, T] up to the first frame at which any stream ends: there the song is cut."""
    ends = (raw == END).any(0).nonzero()
    return raw[:, : int(ends[0]) if len(ends) else raw.shape[1]]
