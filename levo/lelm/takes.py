"""Streams of several takes of a song under way: what is placed at each step, and where each take ends.

Everything lives on the device and no decision waits for it, so that a step can be captured and replayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..config import CODES, EMPTY, END, Sampling
from . import delay
from .sampling import guide, likeliest, penalise_repetition, sample

NEVER = 1 << 40  # a step that does not come
LARGEST = 1e9  # logits beyond it are no logits


class LogitsError(ValueError):
    """LeLM gave logits that nothing can be drawn from; in one sentence."""


class TakeBatch:
    """N takes of at most `frames` frames, each with the draws of its own seed.

    Frames that are kept of an earlier song stand in `placed` from the start. Streams lag, so the mixed
    stream is sampled while the others still have kept frames; a step leaves those as they are.
    """

    def __init__(
        self,
        frames: int,
        delays: Sequence[int],
        seeds: Sequence[int],
        banned: Tensor,
        sampling: Sampling,
        run_out: bool,
        device: torch.device,
        kept: Tensor | None = None,
    ):
        """Start with nothing placed but what is kept.

        Args:
            frames: the limit of every stream.
            delays: of the streams, in frames.
            seeds: one a take.
            banned: codes that the mixed stream may not sing.
            sampling: how codes are drawn.
            run_out: a take is over when all its streams have ended; else as soon as no later step can
                change what is left of it.
            device: where everything lives.
            kept: codes [3, K] that every take begins with, K <= frames.
        """
        self.steps = delay.steps_for(frames, delays)
        self.delays = tuple(delays)
        self.sampling, self.run_out = sampling, run_out
        draws = [torch.rand(self.steps + 1, generator=torch.Generator().manual_seed(s)) for s in seeds]
        self._chances = torch.stack(draws).to(device)
        self._active = delay.active(frames, delays).to(device)
        self._delays = torch.tensor(list(delays), device=device)
        self._banned = torch.zeros(CODES + 1, dtype=torch.bool, device=device)
        self._banned[banned.to(device)] = True
        self._past = torch.arange(-sampling.repetition_window, 0, device=device)
        known = 0 if kept is None else kept.shape[1]
        self.first = 1 + min(delays) + known  # step to be sampled: what all before it place is known
        self._step = torch.full((1,), self.first, device=device)  # the one to be placed
        self._ends = torch.full((len(seeds), len(delays)), NEVER, device=device)  # step of each END
        self._over = torch.full((len(seeds),), NEVER, device=device)
        self._largest = torch.zeros((), device=device)  # of all logits so far, without sign; NaN stays
        self.placed = torch.full((len(seeds), len(delays), self.steps + 1), EMPTY, device=device)
        if kept is not None:
            ours = delay.delay(kept, delays).to(device)
            self.placed[:, :, : ours.shape[1]] = ours

    def known(self) -> Tensor:
        """Codes [2, 3, first] of all steps before the first sampled one, for both rows of one take."""
        return self.placed[:1, :, : self.first].expand(2, -1, -1)

    def last(self) -> Tensor:
        """Codes [2 N, 3, 1] placed last: of all takes for the conditional rows, again for the null rows."""
        return self.placed.index_select(2, self._step - 1).repeat(2, 1, 1)

    def append_step(self, logits: Tensor) -> None:
        """Sample what is not kept from [2 N, 3, CODES + 1] logits and go one step on."""
        guided = guide(logits.float().unflatten(0, (2, -1)), self.sampling.guidance)
        self._largest.copy_(torch.maximum(self._largest, guided.abs().amax()))
        codes = self._sample(guided)
        singing = self._active.index_select(1, self._step)[:, 0] & (self._ends == NEVER)
        kept = self.placed.index_select(2, self._step)[..., 0]
        codes = torch.where(kept != EMPTY, kept, torch.where(singing, codes, EMPTY))
        self.placed.index_copy_(2, self._step, codes[..., None])
        self._ends.copy_(torch.where(codes == END, self._step, self._ends))
        self._over.copy_(torch.where(self._is_over(), torch.minimum(self._over, self._step), self._over))
        self._step += 1

    def over(self) -> list[int]:
        """For each take the step after which it was over, NEVER if it is not; waits for the device.

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
        return [until_end(delay.undelay(take, frames, self.delays))[None] for take in self.placed.cpu()]

    def _sample(self, logits: Tensor) -> Tensor:
        how = self.sampling
        if how.repetition_window:  # what was before the start is EMPTY, as the first column is
            recent = self.placed.index_select(2, (self._step + self._past).clamp(min=0))
            logits = penalise_repetition(logits, recent, how.repetition_divisor)
        mixed = logits[:, 0].masked_fill(self._banned, -torch.inf)
        chance = self._chances.index_select(1, self._step)[:, 0]
        mixed = sample(mixed, chance, how.temperature, how.top_k, how.top_p)
        return torch.cat((mixed[:, None], likeliest(logits[:, 1:])), dim=1)

    def _is_over(self) -> Tensor:
        ended = self._ends != NEVER
        if self.run_out:
            return ended.all(-1)
        first = (self._ends - 1 - self._delays).amin(-1)  # frame of the first END
        complete = self._step - self._delays.amax() >= first
        return ended.all(-1) | (ended.any(-1) & complete)


def until_end(raw: Tensor) -> Tensor:
    """Codes [streams, T] up to the first frame at which any stream ends: there the song is cut."""
    ends = (raw == END).any(0).nonzero()
    return raw[:, : int(ends[0]) if len(ends) else raw.shape[1]]
