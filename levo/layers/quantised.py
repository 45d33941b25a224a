"""Linear layers that store their matrix in few bits: what int8 and int4 have in common.

Weights alone are small: activations stay floats. Knows no model and no memory manager.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..config import first_line
from .operations import Device

CACHED_BYTES = 8_000_000  # of a matrix that a GPU dequantises at a time: they stay in its cache until used
LARGE = 100_000  # rows of an embedding that may be small
TESTED = (131, 2_048)  # shape of the matrix that a kernel is tried with


class QuantisedLinear(nn.Module):
    """A linear layer without bias; `kernel` is for the device that it computes on.

    `weight` holds the matrix in the form of the subclass, `scale` what its numbers are multiplied with.
    """

    def __init__(self, weight: Tensor, scale: Tensor, kernel: Kernel | None = None):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    @property
    def shape(self) -> torch.Size:
        """[out, in] of the matrix that is stored."""
        return self.weight.shape

    @staticmethod
    def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers and scales of float weights [out, in]."""
        raise NotImplementedError

    @staticmethod
    def dequantise(weight: Tensor, scale: Tensor) -> Tensor:
        """float32 numbers that weights and scales stand for."""
        raise NotImplementedError

    def product(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """[..., out]: the linear layer for x [..., in], with weights and scales on the device of x."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x, self.weight, self.scale)


@dataclass(frozen=True)
class Kernel:
    """What multiplies a few rows of x by few bits, without turning them into floats in memory."""

    name: str  # for people
    most_rows: int
    multiply: Callable[[Tensor, Tensor, Tensor], Tensor]  # x [rows, in], weight, scale to [rows, out]
    error: float = 0.005  # of what it gives, at most, of its deviation

    def is_right(self, layer: type[QuantisedLinear], device: torch.device, dtype: torch.dtype) -> bool:
        """Whether it gives what it should on a device, for a kind of layer and activations of a dtype.

        Waits for the device.

        Raises:
            Exception: of any kind, where it cannot run.
        """
        random = torch.Generator().manual_seed(0)
        x = torch.randn(2, TESTED[1], generator=random).to(device, dtype)
        weight, scale = (t.to(device) for t in layer.quantise(torch.randn(TESTED, generator=random)))
        exact = x.float() @ layer.dequantise(weight, scale).t()
        error = (self.multiply(x, weight, scale).float() - exact).norm() / exact.norm()
        return bool(error < self.error)


def refusal(is_right: Callable[[], bool]) -> str | None:
    """Why a kernel cannot be used, as the rest of a sentence, by trying it; None if it can.

    Raises:
        torch.cuda.OutOfMemoryError: there is no memory for the trial.
    """
    try:
        return None if is_right() else "it gives wrong numbers"
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # kernels and the compilers behind them raise errors of every kind
        return first_line(error)


def by_blocks(
    rows: Tensor, weight: Tensor, scale: Tensor, dequantise: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The product of rows by a matrix whose blocks are turned into the dtype of x one after the other."""
    height = max(1, CACHED_BYTES // (rows.shape[1] * rows.element_size()))
    y = rows.new_empty(len(rows), len(weight))
    for numbers, scales, out in zip(*(t.split(height) for t in (weight, scale, y.t())), strict=True):
        # Scaled first: sums of whole numbers may be too large for fp16.
        torch.mm(dequantise(numbers, scales).to(rows.dtype), rows.t(), out=out)
    return y


def operations(
    base: Any, linear: Callable[..., nn.Module], table: Callable[..., nn.Module] | None = None
) -> SimpleNamespace:
    """Layer classes that make LeLM's large matrices small: its blocks and heads, what a step reads most.

    They are its linear layers without bias; 77 % of the weights of v2-medium, 83 % of v2-large. The bridge
    has biases and stays: it is small, and everything that stage 2 knows of stage 1 passes it. Embeddings
    are read a row at a time, so few bits would not speed them up; the two of texts are small where `table`
    makes them, because they are large: 17 % of v2-medium, 12 % of v2-large.

    Args:
        base: layer classes for the rest (torch.nn or ComfyUI's).
        linear: makes the small layers.
        table: makes embeddings of LARGE rows and more; None for those of `base`.
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

    def look_up(
        rows: int, width: int, device: Device = None, dtype: torch.dtype | None = None
    ) -> nn.Module:
        kind = table if table is not None and rows >= LARGE else base.Embedding
        return kind(rows, width, device=device, dtype=dtype)

    return SimpleNamespace(Linear=make, Embedding=look_up, RMSNorm=base.RMSNorm)


def scale_names(model: nn.Module) -> set[str]:
    """Names of the scales in a model's state dict: they follow from float weights."""
    return {f"{name}.scale" for name, layer in model.named_modules() if isinstance(layer, QuantisedLinear)}
