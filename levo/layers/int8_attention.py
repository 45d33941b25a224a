"""Attention of a step to keys and values stored as bytes, with a scale for each position of a head.

Keys are stored around a mean, which is not added again: it adds the same to all scores of a query, and
softmax does not see it. Knows no model.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 127
SMALLEST = 1e-30  # of scales: a row may be all zero


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Round keys or values to bytes.

    Args:
        x: [..., head width] floats.

    Returns:
        [..., head width] int8, and [...] float32 scales; each number is off by half a scale at most.
    """
    x = x.float()
    scale = x.abs().amax(-1).div_(LEVELS).clamp_(min=SMALLEST)
    return (x / scale[..., None]).round_().to(torch.int8), scale


def dequantise(numbers: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """[..., head width] in a dtype: what bytes and their scales stand for."""
    return (numbers * scale[..., None]).to(dtype)


def append(numbers: Tensor, scales: Tensor, means: Tensor, at: Tensor, both: Tensor) -> None:
    """Store the keys and values of a position.

    Args:
        numbers: [2, rows, heads, capacity, head width] int8, changed.
        scales: [2, rows, heads, capacity] float32, changed.
        means: [rows, heads, head width] float32, taken off the keys.
        at: [1] int64, the position.
        both: [2, rows, heads, 1, head width] keys and values.
    """
    around = both.float()
    around[0] -= means[:, :, None]
    new, scale = quantise(around)
    numbers.index_copy_(3, at, new)
    scales.index_copy_(3, at, scale)
