"""The delay pattern: which frame of which stream a step of the language model holds.

Stream k at step s holds frame s - 1 - delay_k; step 0 is the all-empty start. The streams of the released
models are delayed by 0, 250 and 250 frames (MusicGen, arXiv:2306.05284, section 2.1, with long delays).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..config import EMPTY


def steps_for(frames: int, delays: Sequence[int]) -> int:
    """Sampled steps that `frames` frames of every stream take."""
    return frames + max(delays)


def active(frames: int, delays: Sequence[int]) -> Tensor:
    """Bool [streams, steps + 1]: true where the stream holds one of its frames at that step."""
    frame = torch.arange(steps_for(frames, delays) + 1) - 1 - torch.tensor(delays)[:, None]
    return (frame >= 0) & (frame < frames)


def undelay(sequence: Tensor, frames: int, delays: Sequence[int]) -> Tensor:
    """[streams, steps + 1] by step -> [streams, frames] by frame."""
    return torch.stack([row[1 + d : 1 + d + frames] for row, d in zip(sequence, delays, strict=True)])


def delay(codes: Tensor, delays: Sequence[int]) -> Tensor:
    """[streams, frames] by frame -> [streams, steps + 1] by step, EMPTY where no frame stands."""
    frames = codes.shape[1]
    sequence = codes.new_full((codes.shape[0], steps_for(frames, delays) + 1), EMPTY)
    for row, stream, d in zip(sequence, codes, delays, strict=True):
        row[1 + d : 1 + d + frames] = stream
    return sequence
