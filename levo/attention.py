"""Scaled dot-product attention as the models call it; callers may bring their own."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# (query, key, value, causal), each [B, heads, T, head width] -> [B, T, heads * head width].
# `causal` is asked for only where query and key cover the same positions.
Attention = Callable[[Tensor, Tensor, Tensor, bool], Tensor]


def sdpa(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """Torch's fused attention.

    Args:
        query, key, value: [B, heads, T, head width]; key and value may be longer than query.
        causal: position i sees positions 0 .. i only.

    Returns:
        [B, T, heads * head width].
    """
    out = scaled_dot_product_attention(query, key, value, is_causal=causal)
    return out.transpose(1, 2).flatten(2)
