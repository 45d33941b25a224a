"""Scaled dot-product attention as the models call it; callers may bring their own."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


class Attention(Protocol):
    """Softmax attention over [B, heads, T, head width]; key and value may be longer than query."""

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None = None
    ) -> Tensor:
        """Attend.

        Args:
            query, key, value: [B, heads, T, head width].
            causal: position i sees positions 0 .. i only; asked for only where query and key cover the
                same positions, and never together with a mask.
            mask: added to the scores, [1, 1, 1, T of key]; None where everything is visible.

        Returns:
            [B, T, heads * head width].
        """


def sdpa(query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None = None) -> Tensor:
    """Torch's fused attention; see `Attention`."""
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    return out.transpose(1, 2).flatten(2)
