"""Linear layers for a CPU that store fp16 and compute in fp32: half the memory and several times the speed.

A step multiplies two rows by every matrix, so that it takes as long as reading them. FBGEMM
(arXiv:2101.05615), which comes with torch for x86, reads fp16 numbers in an order of its own and multiplies
and sums in fp32. bf16 numbers of the size of weights fit fp16 exactly (they lose something below 2e-5).
Knows no model and no memory manager.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


def is_there() -> bool:
    """Whether torch has FBGEMM and this CPU can run it."""
    return "fbgemm" in torch.backends.quantized.supported_engines


class HalfLinear(nn.Module):
    """A linear layer on the CPU; x is float32 and so is what comes out.

    The matrix is kept as FBGEMM packs it, which no tensor can show: the parameter `weight` has its shape
    and dtype, for whoever counts bytes, but no numbers. `levo.filling` sets and reads them.
    """

    def __init__(self, width_in: int, width_out: int, bias: bool = True):
        super().__init__()
        shape = torch.empty(width_out, width_in, dtype=torch.float16, device="meta")
        self.weight = nn.Parameter(shape, requires_grad=False)
        self.bias = nn.Parameter(torch.empty(width_out), requires_grad=False) if bias else None
        self._packed: Any = None

    def take(self, weight: Tensor) -> None:
        """Round float weights [out, in] to fp16 and pack them."""
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight.float().contiguous(), None)

    def matrix(self) -> Tensor:
        """The weights, [out, in] float32 with numbers that fp16 holds."""
        return torch.ops.quantized.linear_unpack_fp16(self._packed)[0]

    def forward(self, x: Tensor) -> Tensor:
        y = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return y if self.bias is None else y.add_(self.bias)

    def _apply(self, fn: Any, recurse: bool = True) -> HalfLinear:
        return self  # the layer is for one device and one dtype: who moves the model does not move it


def operations(base: Any) -> SimpleNamespace:
    """Layer classes whose matrices are fp16; norms and embeddings are those of `base` (say, torch.nn).

    Embeddings are looked up a row at a time, so that their size does not cost time.
    """

    def make(width_in: int, width_out: int, bias: bool = True, device=None, dtype=None) -> nn.Module:
        return HalfLinear(width_in, width_out, bias)

    return SimpleNamespace(Linear=make, Embedding=base.Embedding, RMSNorm=base.RMSNorm)
