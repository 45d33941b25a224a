"""Linear layers whose matrices are stored as fp8 (e4m3: four bits of exponent, three of mantissa).

Knows no model and no memory manager. Nothing is computed in fp8: the given layer class turns a matrix into
the dtype of what it is multiplied with when it is used.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .operations import Device

FP8 = torch.float8_e4m3fn


class CastingLinear(nn.Linear):
    """A layer whose matrix is turned into the dtype of what it is multiplied with, each time."""

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


# For whoever brings no layer classes that cast.
CASTING = SimpleNamespace(
    Linear=CastingLinear, Embedding=nn.Embedding, LayerNorm=nn.LayerNorm, RMSNorm=nn.RMSNorm
)


def operations(base: Any, biased: bool) -> SimpleNamespace:
    """Layer classes that store matrices as fp8; biases, norms and embeddings stay as they are.

    Args:
        base: layer classes that cast their weights when they are used, such as ComfyUI's `manual_cast`.
        biased: also the matrices of layers with a bias.
    """

    def make(
        width_in: int,
        width_out: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> nn.Module:
        layer = base.Linear(width_in, width_out, bias=bias, device=device, dtype=dtype)
        if biased or not bias:
            weight = torch.empty(width_out, width_in, device=device, dtype=FP8)
            layer.weight = nn.Parameter(weight, requires_grad=False)
        return layer

    layers = {name: getattr(base, name) for name in ("Embedding", "LayerNorm", "RMSNorm")}
    return SimpleNamespace(Linear=make, **layers)
