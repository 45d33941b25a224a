"""Scaled dot-product attention as the models call it: by torch, or by flash-attn where it fits."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

FLASH_WIDTH = 256  # of the widest heads that flash-attn knows
FLASH_CARD = 8  # major compute capability of the oldest cards that it runs on, Ampere


@dataclass(frozen=True)
class CacheMask:
    """Which keys of a cache a step sees, in the forms that different kernels know."""

    scores: Tensor  # [1, 1, 1, span], added to scores: 0 or minus infinity
    lengths: Tensor  # [rows] int32, how many positions each row sees


class Attention(Protocol):
    """Softmax attention over [B, heads, T, head width]; key and value may be longer than query."""

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
    ) -> Tensor:
        """Attend.

        Args:
            query, key, value: [B, heads, T, head width].
            causal: position i sees positions 0 .. i only; asked for only where query and key cover the
                same positions, and never together with `mask`.
            mask: what a query of one position sees; None where it sees everything.

        Returns:
            [B, T, heads * head width].
        """


def sdpa(query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None) -> Tensor:
    """Torch's fused attention; see `Attention`."""
    scores = None if mask is None else mask.scores
    out = scaled_dot_product_attention(query, key, value, attn_mask=scores, is_causal=causal)
    return out.transpose(1, 2).flatten(2)


def matmul_attention(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
) -> Tensor:
    """As `sdpa`, but a step is two products, by which a CPU reads keys faster; see `Attention`."""
    if mask is None:
        return sdpa(query, key, value, causal)
    query = query.contiguous() * query.shape[-1] ** -0.5  # MKL is slow at a column that is not
    scores = (key @ query.transpose(2, 3)).transpose(2, 3)
    return (torch.softmax(scores.add_(mask.scores), dim=-1) @ value).transpose(1, 2).flatten(2)


def flash_package() -> ModuleType | None:
    """The package flash-attn (arXiv:2307.08691); None if it is missing, broken or too old."""
    try:
        import flash_attn
    except (ImportError, OSError, RuntimeError):  # what builds for another torch or CUDA raise
        return None
    functions = ("flash_attn_func", "flash_attn_with_kvcache")
    return flash_attn if all(hasattr(flash_attn, name) for name in functions) else None


def flash_refusal(device: torch.device, dtype: torch.dtype, head_width: int) -> str | None:
    """Why flash-attn cannot attend to such tensors, as half a sentence; None if it can."""
    if device.type != "cuda":
        return f"it runs on CUDA cards alone, and this device is {device.type}"
    if dtype not in (torch.float16, torch.bfloat16):
        return "it computes in bf16 and fp16 alone"
    if head_width > FLASH_WIDTH:
        return f"its heads are at most {FLASH_WIDTH} wide, and these are {head_width}"
    if torch.cuda.get_device_capability(device)[0] < FLASH_CARD:
        return "it needs a card of the Ampere generation or newer"
    return None


class Flash:
    """Attention by flash-attn; see `Attention`."""

    def __init__(self, package: ModuleType, otherwise: Attention | None = None):
        """Choose.

        Args:
            package: from `flash_package`.
            otherwise: attends where flash-attn cannot; None where it is known to fit.
        """
        self._package, self._otherwise = package, otherwise

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
    ) -> Tensor:
        if self._otherwise and flash_refusal(query.device, query.dtype, query.shape[-1]):
            return self._otherwise(query, key, value, causal, mask)
        # It counts positions before heads and reads strides, so nothing is copied.
        query, key, value = (x.transpose(1, 2) for x in (query, key, value))
        if mask is None:
            return self._package.flash_attn_func(query, key, value, causal=causal).flatten(2)
        out = self._package.flash_attn_with_kvcache(query, key, value, cache_seqlens=mask.lengths)
        return out.flatten(2)
