"""int4 layers of a CPU, in the order in which torch's kernel reads a matrix (torch 2.6 and newer, x86).

The kernel multiplies in bf16 and sums in fp32. At a step's two rows it takes three quarters of the time of
FBGEMM's bytes, at eight rows a little longer; measured with AVX2. Knows no model and no memory manager.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fbgemm import PackedLinear
from .int4 import GROUP, ZERO, Int4Linear, numbers_in, packed_from, quantise
from .operations import Device

FAST = ("AVX2", "AVX512")  # instructions that the kernel is written for; elsewhere it crawls
ROWS = 16  # the kernel takes matrices of a multiple of so many rows
DIGITS = 7  # of 4 bits, which number every weight of the largest matrix


def is_available() -> bool:
    """Whether torch has the kernel and this CPU runs it fast."""
    return (
        hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")
        and torch.backends.cpu.get_cpu_capability() in FAST
    )


class PackedInt4Linear(PackedLinear, Int4Linear):
    """A linear layer without bias with int4 weights and a scale a group; x and the result are float32."""

    _scales: Tensor | None = None  # as the kernel takes them, once there is something to multiply

    def __init__(self, width_in: int, width_out: int, device: Device = None):
        super().__init__(width_in, width_out, device="meta")
        self.scale = nn.Parameter(torch.empty_like(self.scale, device="cpu"), requires_grad=False)

    def pack(self, weight: Tensor) -> None:
        """Pack half bytes as `int4.quantise` gives them, or float weights [out, in] after rounding them."""
        if weight.is_floating_point():
            weight, scale = quantise(weight)
            self.scale.data.copy_(scale)
        numbers = numbers_in(weight).flatten(1).int() + ZERO
        self._packed = _in_order(F.pad(numbers, (0, 0, 0, -len(numbers) % ROWS)))
        self._scales = None

    def matrix(self) -> Tensor:
        """The weights, uint8 as `int4.quantise` gives them."""
        height, width = len(self.weight), self.scale.shape[1] * GROUP
        numbers = _numbers(self._packed, height + -height % ROWS, width)[:height]
        return packed_from(numbers.unflatten(1, (-1, GROUP)) - ZERO).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        if self._scales is None:
            scale = F.pad(self.scale.data, (0, 0, 0, -len(self.scale) % ROWS)).t()
            self._scales = torch.stack((scale, torch.zeros_like(scale)), dim=2).contiguous()
        rows = x.reshape(-1, x.shape[-1]).bfloat16()
        rows = F.pad(rows, (0, self.scale.shape[1] * GROUP - rows.shape[1])).contiguous()
        y = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self._packed, GROUP, self._scales)
        return y[:, : len(self.weight)].to(x.dtype).view(*x.shape[:-1], -1)


def _in_order(numbers: Tensor) -> Tensor:
    """Numbers [rows, columns] int32 from 0 to 15 as the kernel reads them, two a byte."""
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)


def _numbers(packed: Tensor, height: int, width: int) -> Tensor:
    """[height, width] int8 numbers that `_in_order` was given.

    Its order differs from one CPU to another, and torch cannot undo it; so it is asked where it puts the
    number of every place, digit by digit.
    """
    count = torch.arange(height * width, dtype=torch.int32).view(height, width)
    places = torch.zeros(height * width, dtype=torch.int32)
    for digit in range(DIGITS):
        places |= _halves(_in_order(count >> 4 * digit & 15)).int() << 4 * digit
    numbers = torch.empty(height * width, dtype=torch.int8)
    numbers[places.long()] = _halves(packed).to(torch.int8)
    return numbers.view(height, width)


def _halves(packed: Tensor) -> Tensor:
    """[numbers] of bytes with two each."""
    packed = packed.reshape(-1)
    return torch.stack((packed & 15, packed >> 4), dim=1).flatten()
