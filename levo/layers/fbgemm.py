"""Linear layers of a CPU, packed in the order in which FBGEMM (arXiv:2101.05615) reads a matrix.

A step multiplies two rows by every matrix, so it takes as long as reading them; torch's other kernels take
several times as long. FBGEMM comes with torch for x86. It multiplies fp16 numbers in fp32; bytes it
multiplies and sums as whole numbers. Knows no model and no memory manager.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from .int8 import Int8Linear, quantise
from .operations import Device

LEVEL = 63  # AVX2 adds pairs of products in 16 bits: with 7 bits for x, none is too large
ZERO = 64
SMALLEST = 1e-30  # of what a row is divided by: it may be all zero


def is_available() -> bool:
    """Whether torch has FBGEMM and this CPU can run it."""
    return "fbgemm" in torch.backends.quantized.supported_engines


class PackedLinear(nn.Module):
    """A layer whose matrix no tensor can show: its parameter `weight` has shape and dtype, but no numbers.

    x is float32, and so is what comes out. `levo.layers.weights` sets and reads the numbers.
    """

    _packed: Any = None

    def pack(self, weight: Tensor) -> None:
        """Take the numbers of a matrix."""
        raise NotImplementedError

    def matrix(self) -> Tensor:
        """A copy of the numbers."""
        raise NotImplementedError

    def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
        return self  # for one device and one dtype: who moves the model does not move it


class Fp16Linear(PackedLinear):
    """A linear layer with fp16 weights.

    bf16 numbers of the size of weights fit fp16 exactly; below 2e-5 they lose something.
    """

    def __init__(self, width_in: int, width_out: int, bias: bool = True):
        super().__init__()
        shape = torch.empty(width_out, width_in, dtype=torch.float16, device="meta")
        self.weight = nn.Parameter(shape, requires_grad=False)
        self.bias = nn.Parameter(torch.empty(width_out), requires_grad=False) if bias else None

    def pack(self, weight: Tensor) -> None:
        """Round float weights [out, in] to fp16 and pack them."""
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight.float().contiguous(), None)

    def matrix(self) -> Tensor:
        """The weights, [out, in] float32 with numbers that fp16 holds."""
        return torch.ops.quantized.linear_unpack_fp16(self._packed)[0]

    def forward(self, x: Tensor) -> Tensor:
        y = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return y if self.bias is None else y.add_(self.bias)


class PackedInt8Linear(PackedLinear, Int8Linear):
    """A linear layer without bias with int8 weights and a scale a row.

    x is split into two numbers of 7 bits each, by the largest number of its row; both are multiplied by the
    bytes in one product. What is left of x is 6e-5 of that number at most: less than bf16 would round off.
    """

    def __init__(self, width_in: int, width_out: int, device: Device = None):
        super().__init__(width_in, width_out, device="meta")
        self.scale = nn.Parameter(torch.empty(width_out), requires_grad=False)

    def pack(self, weight: Tensor) -> None:
        """Pack bytes [out, in] as they are, or float weights after rounding them."""
        if weight.is_floating_point():
            weight, scale = quantise(weight)
            self.scale.data.copy_(scale)
        engine = torch.backends.quantized.engine
        torch.backends.quantized.engine = "fbgemm"  # another packs for kernels of its own
        try:
            bytes_ = torch._make_per_tensor_quantized_tensor(weight.contiguous(), 1.0, 0)
            self._packed = torch.ops.quantized.linear_prepack(bytes_, None)
        finally:
            torch.backends.quantized.engine = engine

    def matrix(self) -> Tensor:
        """The weights, [out, in] int8."""
        return torch.ops.quantized.linear_unpack(self._packed)[0].int_repr()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        largest = rows.abs().amax(dim=1, keepdim=True).clamp(min=SMALLEST)
        exact = rows * (LEVEL / largest)
        coarse = exact.round()
        fine = exact.sub_(coarse).mul_(2 * LEVEL)  # rounded on the way
        y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            torch.cat((coarse, fine)), 1.0, ZERO, self._packed
        )
        coarse, fine = y.chunk(2)
        y = coarse.add_(fine, alpha=1 / (2 * LEVEL)).mul_(largest / LEVEL).mul_(self.scale)
        return y.view(*x.shape[:-1], -1)


def operations(base: Any) -> SimpleNamespace:
    """Layer classes whose matrices are fp16; norms and embeddings are those of `base` (say, torch.nn).

    Embeddings are looked up a row at a time, so that their size does not cost time.
    """

    def make(
        width_in: int,
        width_out: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> nn.Module:
        return Fp16Linear(width_in, width_out, bias)

    return SimpleNamespace(Linear=make, Embedding=base.Embedding, RMSNorm=base.RMSNorm)
