"""LeLM's weights and forward pass: two Llama stages joined by a small MLP.

Knows nothing of sampling, delays or texts: code embeddings in, logits of three streams out.
Llama: Touvron et al., arXiv:2302.13971 (RMSNorm, SwiGLU, rotary on halves). LeVo: arXiv:2506.07520.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..attention import Attention, Visible, sdpa
from ..config import CODES, LelmConfig
from .conditions import Conditioner, Conditions, Prefix
from .kv_cache import KVCache

NORM_EPS = 1e-5


def rotary_table(
    start: int, count: int, head_width: int, theta: float, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosines and sines [count, head width] of positions start .. start + count - 1 (arXiv:2104.09864)."""
    pairs = torch.arange(0, head_width, 2, device=like.device, dtype=torch.float32)
    positions = torch.arange(start, start + count, device=like.device, dtype=torch.float32)
    angle = torch.outer(positions, theta ** -(pairs / head_width)).repeat(1, 2)
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn [B, heads, T, head width] by its positions; element i pairs with i + half."""
    cos, sin = table
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Block(nn.Module):
    """One Llama layer, with query, key and value in one matrix and gate and up in another."""

    def __init__(self, config: LelmConfig, operations, attention: Attention, **place):
        super().__init__()
        width, inner = config.width, config.inner
        self.heads = config.heads
        self.attend = attention
        self.attention_norm = operations.RMSNorm(width, eps=NORM_EPS, **place)
        self.qkv = operations.Linear(width, 3 * width, bias=False, **place)
        self.out = operations.Linear(width, width, bias=False, **place)
        self.mlp_norm = operations.RMSNorm(width, eps=NORM_EPS, **place)
        self.gate_up = operations.Linear(width, 2 * inner, bias=False, **place)
        self.down = operations.Linear(inner, width, bias=False, **place)

    def forward(
        self,
        x: Tensor,
        table: tuple[Tensor, Tensor],
        visible: Visible | None,
        layer: int,
        cache: KVCache,
    ) -> Tensor:
        rows, count, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(rows, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv  # each [B, heads, T, head width]
        key, value = cache.extend(layer, rotate(key, table), value)
        # A pass of several positions is a prefill and starts from nothing, so "causal" hides enough.
        x = x + self.out(self.attend(rotate(query, table), key, value, count > 1, visible))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Stage(nn.Module):
    """A stack of blocks and a final norm; positions count from the first prefix position."""

    def __init__(self, config: LelmConfig, layers: int, theta: float, operations, attention, **place):
        super().__init__()
        self.theta = theta
        self.heads, self.head_width = config.heads, config.head_width
        self.blocks = nn.ModuleList(Block(config, operations, attention, **place) for _ in range(layers))
        self.norm = operations.RMSNorm(config.width, eps=NORM_EPS, **place)

    def cache(self, rows: int, capacity: int, like: Tensor) -> KVCache:
        """A fresh cache for `capacity` positions, placed and typed as `like`."""
        layers, width = len(self.blocks), self.head_width
        rotary = rotary_table(0, capacity, width, self.theta, like)
        return KVCache(layers, rows, self.heads, capacity, width, like.device, like.dtype, rotary)

    def forward(self, x: Tensor, cache: KVCache) -> Tensor:
        count = x.shape[1]
        table, visible = cache.rotary(count), cache.visible()
        for layer, block in enumerate(self.blocks):
            x = block(x, table, visible, layer, cache)
        cache.advance(count)
        return self.norm(x)


class LeLM(nn.Module):
    """The language model. `operations` supplies the layer classes (torch.nn or ComfyUI's)."""

    def __init__(
        self, config: LelmConfig, operations=nn, attention: Attention = sdpa, device=None, dtype=None
    ):
        super().__init__()
        place = {"device": device, "dtype": dtype}
        width = config.width
        self.config = config
        self.conditioner = Conditioner(config, operations, **place)
        # Input tables of the mixed, the vocal and the accompaniment stream.
        self.codes = nn.ModuleList(operations.Embedding(CODES + 2, width, **place) for _ in range(3))
        self.stage1 = Stage(config, config.layers, config.rope_theta, operations, attention, **place)
        self.bridge_in = operations.Linear(2 * width, width, **place)
        self.bridge_out = operations.Linear(width, width, **place)
        self.stage2 = Stage(
            config, config.layers_sub, config.rope_theta_sub, operations, attention, **place
        )
        self.heads = nn.ModuleList(
            operations.Linear(width, CODES + 1, bias=False, **place) for _ in range(3)
        )

    def condition(self, conditions: Conditions) -> Prefix:
        """Embed prepared ids: both guidance rows of the prefix of both stages."""
        return self.conditioner(conditions)

    def caches(self, rows: int, capacity: int, like: Tensor) -> tuple[KVCache, KVCache]:
        """Fresh caches of both stages for `capacity` positions, placed and typed as `like`."""
        return self.stage1.cache(rows, capacity, like), self.stage2.cache(rows, capacity, like)

    def forward(
        self, codes: Tensor, caches: tuple[KVCache, KVCache], prefix: Prefix | None = None
    ) -> Tensor:
        """Logits of the position after the last code.

        Args:
            codes: [rows, 3, T] int64, 0 .. EMPTY.
            caches: one for each stage; empty on the first call, which also takes the prefix.
            prefix: embeddings of the conditions, on the first call.

        Returns:
            [rows, 3, CODES + 1]: codes and END.
        """
        mixed, vocal, accompaniment = (table(codes[:, k]) for k, table in enumerate(self.codes))
        own1, own2 = mixed, vocal + accompaniment
        if prefix is not None:
            own1 = torch.cat((prefix.stage1, own1), dim=1)
            own2 = torch.cat((prefix.stage2, own2), dim=1)
        hidden1 = self.stage1(own1, caches[0])
        bridged = self.bridge_out(F.gelu(self.bridge_in(torch.cat((own2, hidden1), dim=-1))))
        hidden2 = self.stage2(bridged, caches[1])
        last = (hidden1[:, -1], hidden2[:, -1], hidden2[:, -1])
        return torch.stack([head(h) for head, h in zip(self.heads, last, strict=True)], dim=1)
