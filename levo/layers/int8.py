"""Weight-only int8: layers that store a byte a weight and a scale a row; activations stay floats.

Knows no model and no memory manager. Symmetric, rounded to nearest, as in LLM.int8() without its outliers
(arXiv:2208.07339, 2.1).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .operations import Device
from .quantised import Kernel, QuantisedLinear, by_blocks

LEVELS = 127
BLOCK = 1_024  # rows of a matrix that are quantised at once
# torch's packed CPU kernel beats dequantising up to about so many rows of x; measured at LeLM's sizes.
FEW_ROWS = 48
KERNEL_STEP = 16  # the kernel crashes on rows that do not begin at a multiple of so many bytes


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to bytes.

    Args:
        weight: [out, in] floats.

    Returns:
        [out, in] int8, and [out] float32 scales that bf16 holds exactly, so that any activations may use
        them; each number is off by half a scale at most.
    """
    numbers = torch.empty_like(weight, dtype=torch.int8, memory_format=torch.contiguous_format)
    scales = torch.empty(len(weight), dtype=torch.float32, device=weight.device)
    # A few rows at a time: no copy of the whole is made.
    for rows, whole, scale in zip(*(x.split(BLOCK) for x in (weight, numbers, scales)), strict=True):
        exact = rows.float().abs().amax(dim=1) / LEVELS
        scale.copy_(exact.bfloat16().clamp(min=torch.finfo(torch.bfloat16).tiny))  # a row may be all zero
        whole.copy_((rows.float() / scale[:, None]).round_().clamp_(-LEVELS, LEVELS))
    return numbers, scales


def dequantise(weight: Tensor, scale: Tensor) -> Tensor:
    """[out, in] float32 numbers that int8 weights and their scales stand for."""
    return weight.float().mul_(scale.float()[:, None])


def product(x: Tensor, weight: Tensor, scale: Tensor, kernel: Kernel | None = None) -> Tensor:
    """The linear layer: x [..., in] with int8 weights [out, in] and scales [out] to [..., out].

    On a CPU it multiplies in bf16 and sums in fp32: torch's int8 kernel is slower than fp32 weights for any
    other activations, and bf16 rounds by less than the weights were. Elsewhere a kernel takes few rows, and
    for many the matrix is dequantised, a block of its rows at a time.
    """
    rows = x.reshape(-1, x.shape[-1])
    if kernel is not None and len(rows) <= kernel.most_rows:
        y = kernel.multiply(rows.contiguous(), weight, scale)
    elif x.device.type != "cpu":
        y = by_blocks(rows, weight, scale, dequantise)
    elif has_cpu_kernel(len(rows), weight):
        y = torch._weight_int8pack_mm(rows.bfloat16().contiguous(), weight, scale.bfloat16())
    else:
        dtype = _cpu_dtype()
        y = F.linear(rows.to(dtype), weight.to(dtype)) * scale.to(dtype)
    return y.to(x.dtype).view(*x.shape[:-1], -1)


def has_cpu_kernel(rows: int, weight: Tensor) -> bool:
    """Whether torch multiplies so many rows by an int8 weight without dequantising it, and fast."""
    aligned = weight.shape[1] % KERNEL_STEP == 0 and weight.data_ptr() % KERNEL_STEP == 0
    return rows <= FEW_ROWS and aligned


def _cpu_dtype() -> torch.dtype:
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


class Int8Linear(QuantisedLinear):
    """A linear layer of bytes, with a scale for each row."""

    quantise = staticmethod(quantise)
    dequantise = staticmethod(dequantise)

    def __init__(self, width_in: int, width_out: int, device: Device = None, kernel: Kernel | None = None):
        weight = torch.empty(width_out, width_in, dtype=torch.int8, device=device)
        super().__init__(weight, torch.empty(width_out, dtype=torch.float32, device=device), kernel)

    def product(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return product(x, weight, scale, self.kernel)


class Int8Embedding(Int8Linear):
    """A table of bytes, with a scale for each row: stored as a linear layer, whose rows are looked up."""

    def __init__(self, rows: int, width: int, device: Device = None, dtype: torch.dtype | None = None):
        """`dtype` is that of the rows that come out."""
        super().__init__(width, rows, device)
        self._dtype = dtype or torch.get_default_dtype()

    def product(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """[..., width]: the rows of ids x [...]."""
        return (F.embedding(x, weight) * scale[x][..., None]).to(self._dtype)
