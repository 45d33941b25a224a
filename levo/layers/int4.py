"""Weight-only int4: linear layers that store half a byte a weight and a scale for every 128 of a row.

Knows no model and no memory manager. Whole numbers from -8 to 7; the scale of a group has the sign that
makes its largest weight -8 times the scale, so that all 16 numbers are used (as GGML's Q4_0).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .operations import Device
from .quantised import Kernel, QuantisedLinear, by_blocks

GROUP = 128  # weights of a row, side by side, that share a scale
HALF = GROUP // 2  # bytes of a group: each has a weight of the first half in its low bits
ZERO = 8  # what stands for 0: a half byte has no sign
BLOCK = 1_024  # rows of a matrix that are quantised at once
# Of the scale that reaches the largest weight: cutting that one off may round the others less. On normal
# weights the error is 9.8 % of their deviation, without a choice 10.3 %, and with 20 fractions 9.7 %.
FRACTIONS = (1.0, 0.9, 0.8, 0.7)
LAYOUT = torch.uint8  # of weights


def groups(width: int) -> int:
    """Groups of a row; the last one may be filled up with zeros."""
    return -(-width // GROUP)


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to half bytes.

    Args:
        weight: [out, in] floats.

    Returns:
        [out, groups * HALF] uint8, and [out, groups] bf16 scales.
    """
    height, width = weight.shape
    bytes_ = torch.empty(height, groups(width) * HALF, dtype=LAYOUT, device=weight.device)
    scales = torch.empty(height, groups(width), dtype=torch.bfloat16, device=weight.device)
    # A few rows at a time: no copy of the whole is made.
    for rows, packed, scale in zip(*(x.split(BLOCK) for x in (weight, bytes_, scales)), strict=True):
        whole = F.pad(rows.float(), (0, groups(width) * GROUP - width)).unflatten(1, (-1, GROUP))
        numbers, best = _rounded(whole)
        scale.copy_(best[..., 0])
        packed.copy_(packed_from(numbers).flatten(1))
    return bytes_, scales


def _rounded(whole: Tensor) -> tuple[Tensor, Tensor]:
    """int8 numbers and scales [..., 1] of groups [..., GROUP] of floats, by the least squared error."""
    largest = whole.gather(-1, whole.abs().argmax(-1, keepdim=True)) / -ZERO
    least = torch.full_like(largest, torch.inf)
    numbers = torch.zeros_like(whole, dtype=torch.int8)
    scales = torch.zeros_like(largest, dtype=torch.bfloat16)
    for fraction in FRACTIONS:
        scale = (largest * fraction).bfloat16()
        # A group, or what bf16 makes of its scale, may be all zero.
        units = (whole / scale.float()).nan_to_num_(0, 0, 0)
        rounded = units.round().clamp_(-ZERO, ZERO - 1)
        # In parts of the largest weight, whose square may be beyond float32.
        error = (units.sub_(rounded) * fraction).square_().sum(-1, keepdim=True)
        better = error < least
        least = torch.where(better, error, least)
        numbers = torch.where(better, rounded.to(torch.int8), numbers)
        scales = torch.where(better, scale, scales)
    return numbers, scales


def packed_from(numbers: Tensor) -> Tensor:
    """[..., HALF] uint8 from [..., GROUP] whole numbers from -8 to 7."""
    low, high = (numbers + ZERO).to(LAYOUT).split(HALF, dim=-1)
    return low | high << 4


def numbers_in(packed: Tensor) -> Tensor:
    """[..., groups, GROUP] int8 numbers from -8 to 7, from [..., groups * HALF] uint8."""
    packed = packed.unflatten(-1, (-1, HALF))
    return torch.cat((packed & 15, packed >> 4), dim=-1).to(torch.int8) - ZERO


def dequantise(weight: Tensor, scale: Tensor) -> Tensor:
    """[out, groups * GROUP] float32 numbers that half bytes and their scales stand for."""
    return numbers_in(weight).float().mul_(scale.float()[..., None]).flatten(1)


def product(x: Tensor, weight: Tensor, scale: Tensor, kernel: Kernel | None = None) -> Tensor:
    """The linear layer: x [..., in] with int4 weights to [..., out].

    A kernel takes few rows; for many the matrix is dequantised, a block of its rows at a time.
    """
    rows, width = x.reshape(-1, x.shape[-1]), x.shape[-1]

    def block(numbers: Tensor, scales: Tensor) -> Tensor:
        return dequantise(numbers, scales)[:, :width]

    if kernel is not None and len(rows) <= kernel.most_rows:
        y = kernel.multiply(rows.contiguous(), weight, scale)
    else:
        y = by_blocks(rows, weight, scale, block)
    return y.view(*x.shape[:-1], -1)


class Int4Linear(QuantisedLinear):
    """A linear layer of half bytes, with a scale for each group of a row."""

    quantise = staticmethod(quantise)
    dequantise = staticmethod(dequantise)

    def __init__(self, width_in: int, width_out: int, device: Device = None, kernel: Kernel | None = None):
        self._width_in = width_in
        weight = torch.empty(width_out, groups(width_in) * HALF, dtype=LAYOUT, device=device)
        scale = torch.empty(width_out, groups(width_in), dtype=torch.bfloat16, device=device)
        super().__init__(weight, scale, kernel)

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.weight), self._width_in))

    def product(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return product(x, weight, scale, self.kernel)
