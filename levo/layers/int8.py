"""Weight-only int8: linear layers that store a byte a weight and a scale a row; activations stay floats.

Knows no model and no memory manager. Symmetric, rounded to nearest, as in LLM.int8() without its outliers
(arXiv:2208.07339, 2.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .operations import Device

LEVELS = 127
BLOCK = 1_024  # rows of a matrix that are quantised at once
# torch's packed CPU kernel beats dequantising up to about so many rows of x; measured at LeLM's sizes.
FEW_ROWS = 48
KERNEL_STEP = 16  # the kernel crashes on rows that do not begin at a multiple of so many bytes
CACHED_BYTES = 8_000_000  # of a matrix that a GPU dequantises at a time: they stay in its cache until used
TESTED = (131, 2_048)  # shape of the matrix that a kernel is tried with


@dataclass(frozen=True)
class Kernel:
    """What multiplies a few rows of x by bytes, without turning them into floats in memory."""

    name: str  # for people
    most_rows: int
    multiply: Callable[[Tensor, Tensor, Tensor], Tensor]  # x [rows, in], weight, scale to [rows, out]
    error: float = 0.005  # of what it gives, at most, of its deviation

    def is_right(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether it gives what it should on a device, for activations of a dtype; waits for the device.

        Raises:
            Exception: of any kind, where it cannot run.
        """
        random = torch.Generator().manual_seed(0)
        x = torch.randn(2, TESTED[1], generator=random).to(device, dtype)
        weight = torch.randint(-LEVELS, LEVELS + 1, TESTED, generator=random, dtype=torch.int8).to(device)
        scale = (torch.rand(TESTED[0], generator=random) / LEVELS).to(device)
        exact = x.float() @ dequantise(weight, scale).t()
        error = (self.multiply(x, weight, scale).float() - exact).norm() / exact.norm()
        return bool(error < self.error)


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
        y = _by_blocks(rows, weight, scale)
    elif has_cpu_kernel(len(rows), weight):
        y = torch._weight_int8pack_mm(rows.bfloat16().contiguous(), weight, scale.bfloat16())
    else:
        dtype = _cpu_dtype()
        y = F.linear(rows.to(dtype), weight.to(dtype)) * scale.to(dtype)
    return y.to(x.dtype).view(*x.shape[:-1], -1)


def _by_blocks(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The product of rows by a matrix whose blocks are turned into the dtype of x one after the other."""
    height = max(1, CACHED_BYTES // (weight.shape[1] * rows.element_size()))
    y = rows.new_empty(len(rows), len(weight))
    for numbers, scales, out in zip(*(t.split(height) for t in (weight, scale, y.t())), strict=True):
        # Scaled first: sums of bytes may be too large for fp16.
        torch.mm(dequantise(numbers, scales).to(rows.dtype), rows.t(), out=out)
    return y


def has_cpu_kernel(rows: int, weight: Tensor) -> bool:
    """Whether torch multiplies so many rows by an int8 weight without dequantising it, and fast."""
    aligned = weight.shape[1] % KERNEL_STEP == 0 and weight.data_ptr() % KERNEL_STEP == 0
    return rows <= FEW_ROWS and aligned


def _cpu_dtype() -> torch.dtype:
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


class Int8Linear(nn.Module):
    """A linear layer without bias; `kernel` is for the device that it computes on."""

    def __init__(self, width_in: int, width_out: int, device: Device = None, kernel: Kernel | None = None):
        super().__init__()
        self.kernel = kernel
        weight = torch.empty(width_out, width_in, dtype=torch.int8, device=device)
        scale = torch.empty(width_out, dtype=torch.float32, device=device)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.scale, self.kernel)


def operations(base: Any, linear: Callable[..., nn.Module] = Int8Linear) -> SimpleNamespace:
    """Layer classes that make LeLM's large matrices int8: its blocks and heads, what a step reads most of.

    They are its linear layers without bias; 77 % of the weights of v2-medium, 83 % of v2-large. The bridge
    has biases and stays: it is small, and everything that stage 2 knows of stage 1 passes it. Embeddings
    are read a row at a time, so bytes would not speed them up.

    Args:
        base: layer classes for the rest (torch.nn or ComfyUI's).
        linear: makes the int8 layers.
    """

    def make(
        width_in: int,
        width_out: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> nn.Module:
        if bias:
            return base.Linear(width_in, width_out, device=device, dtype=dtype)
        return linear(width_in, width_out, device)

    return SimpleNamespace(Linear=make, Embedding=base.Embedding, RMSNorm=base.RMSNorm)


def scale_names(model: nn.Module) -> set[str]:
    """Names of the scales in a model's state dict: they follow from float weights."""
    return {f"{name}.scale" for name, layer in model.named_modules() if isinstance(layer, Int8Linear)}
