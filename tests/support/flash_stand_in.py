"""A stand-in for the package flash-attn 2, which needs a CUDA card: its documented calls by plain softmax.

Strict about what the real one refuses or misreads without a word. Only the arguments that mean something
here are taken; that the real package agrees can only be seen on a card.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

REAL = "flash_attn"


def softmax_attention(query: Tensor, key: Tensor, value: Tensor, visible: Tensor, scale: float) -> Tensor:
    """The definition: [B, T, heads, width] with `visible` [B, T of query, T of key], in fp32."""
    scores = torch.einsum("bqhd,bkhd->bhqk", query.float(), key.float()) * scale
    scores = scores.masked_fill(~visible[:, None], -torch.inf)
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value.float()).to(query.dtype)


def flash_attn_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
) -> Tensor:
    """Dense attention; causal is aligned to the lower right corner."""
    assert q.dtype == k.dtype == v.dtype
    assert dropout_p == 0
    visible = torch.ones(len(q), q.shape[1], k.shape[1], dtype=torch.bool)
    if causal:
        visible = visible.tril(k.shape[1] - q.shape[1])
    return softmax_attention(q, k, v, visible, softmax_scale or q.shape[-1] ** -0.5)


def flash_attn_with_kvcache(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    k: Tensor | None = None,
    v: Tensor | None = None,
    rotary_cos: None = None,
    rotary_sin: None = None,
    cache_seqlens: Tensor | None = None,
    cache_batch_idx: None = None,
    cache_leftpad: None = None,
    block_table: None = None,
    softmax_scale: float | None = None,
    causal: bool = False,
) -> Tensor:
    """Attention to the first `cache_seqlens` positions; k and v are first written behind them, in place."""
    assert k_cache.stride(-1) == v_cache.stride(-1) == 1
    assert cache_seqlens.dtype == torch.int32
    assert cache_seqlens.shape == (len(q),)
    assert cache_seqlens.is_contiguous()
    assert not causal
    seen = cache_seqlens.clone()
    if k is not None:
        for row, start in enumerate(seen.tolist()):
            k_cache[row, start : start + k.shape[1]] = k[row]
            v_cache[row, start : start + k.shape[1]] = v[row]
        seen += k.shape[1]
    visible = torch.arange(k_cache.shape[1]) < seen[:, None, None]
    return softmax_attention(q, k_cache, v_cache, visible, softmax_scale or q.shape[-1] ** -0.5)


def package() -> ModuleType:
    """A module to put into `sys.modules`."""
    module = ModuleType(REAL)
    module.flash_attn_func = flash_attn_func
    module.flash_attn_with_kvcache = flash_attn_with_kvcache
    return module
