"""LeLM's weights and forward pass: two Llama stages joined by a small MLP.

Knows nothing of sampling, delays or texts: code embeddings in, logits of three streams out.
Llama: Touvron et al., arXiv:2302.13971 (RMSNorm, SwiGLU, rotary on halves). LeVo: arXiv:2506.07520.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import CODES, LelmConfig
from ..layers.attention import Attention, sdpa
from ..layers.operations import Device, Operations
from .conditions import Conditioner, Conditions, Prefix
from .kv_cache import FixedCache, KVCache, Pass

NORM_EPS = 1e-5
Caches = tuple[KVCache, KVCache] | tuple[FixedCache, FixedCache]  # of both stages


def rotary_table(start: int, count: int, head_width: int, theta: float, like: Tensor) -> Tensor:
    """What turns positions start .. start + count - 1 (arXiv:2104.09864).

    Returns:
        [count, 2, head width] in the dtype and on the device of `like`: factors of an element and of its
            partner.
    """
    pairs = torch.arange(0, head_width, 2, device=like.device, dtype=torch.float32)
    positions = torch.arange(start, start + count, device=like.device, dtype=torch.float32)
    angle = torch.outer(positions, theta ** -(pairs / head_width))
    cos, sin = angle.cos().repeat(1, 2), torch.cat((-angle.sin(), angle.sin()), dim=1)
    return torch.stack((cos, sin), dim=1).to(like.dtype)


def rotate(x: Tensor, factors: Tensor) -> Tensor:
    """Turn query and key of [rows, T, 3, heads, head width], and leave value; i pairs with i + half.

    Args:
        x: query, key and value.
        factors: [T, 2, 3, 1, head width] of `levo.lelm.kv_cache.factors`.
    """
    cosine, sine = factors.unbind(1)
    partners = x.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
    return (x * cosine).addcmul_(partners, sine)


class Block(nn.Module):
    """One Llama layer, with query, key and value in one matrix and gate and up in another."""

    def __init__(
        self, config: LelmConfig, operations: Operations, attention: Attention, **factory_kwargs: Any
    ):
        super().__init__()
        width, inner = config.width, config.inner
        self.heads = config.heads
        self.attend = attention
        self.attention_norm = operations.RMSNorm(width, eps=NORM_EPS, **factory_kwargs)
        self.qkv = operations.Linear(width, 3 * width, bias=False, **factory_kwargs)
        self.out = operations.Linear(width, width, bias=False, **factory_kwargs)
        self.mlp_norm = operations.RMSNorm(width, eps=NORM_EPS, **factory_kwargs)
        self.gate_up = operations.Linear(width, 2 * inner, bias=False, **factory_kwargs)
        self.down = operations.Linear(inner, width, bias=False, **factory_kwargs)

    def forward(self, x: Tensor, shared: Pass, layer: int, cache: KVCache | FixedCache) -> None:
        """Change `x` [rows, T, width] in place."""
        x += self._attention(x, shared, layer, cache)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        x += self.down(F.silu(gate).mul_(up))

    def _attention(self, x: Tensor, shared: Pass, layer: int, cache: KVCache | FixedCache) -> Tensor:
        qkv = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        turned = rotate(qkv, shared.factors).permute(2, 0, 3, 1, 4)  # [3, rows, heads, T, head width]
        return self.out(cache.attend(layer, turned, self.attend, shared.mask))


def plainly(block: Block, x: Tensor, shared: Pass, layer: int, cache: KVCache | FixedCache) -> None:
    """Run a block as it is."""
    block(x, shared, layer, cache)


def in_turn(blocks: nn.ModuleList, run_block: Callable[[int], None], _span: int) -> None:
    """Run blocks one after the other."""
    for layer in range(len(blocks)):
        run_block(layer)


@dataclass(frozen=True)
class Run:
    """How a pass runs blocks."""

    block: Callable[[Block, Tensor, Pass, int, Any], None] = plainly
    # Runs all blocks of a stage by calling what runs the one of a number. Also given the positions that are
    # read: while they stay the same, so do the shapes and places of all tensors in a block of a step.
    blocks: Callable[[nn.ModuleList, Callable[[int], None], int], None] = in_turn


class Stage(nn.Module):
    """A stack of blocks and a final norm; positions count from the first prefix position."""

    def __init__(
        self,
        config: LelmConfig,
        layers: int,
        theta: float,
        operations: Operations,
        attention: Attention,
        **factory_kwargs: Any,
    ):
        super().__init__()
        self.theta = theta
        self.heads, self.head_width = config.heads, config.head_width
        self.blocks = nn.ModuleList(
            Block(config, operations, attention, **factory_kwargs) for _ in range(layers)
        )
        self.norm = operations.RMSNorm(config.width, eps=NORM_EPS, **factory_kwargs)

    def cache(self, rows: int, capacity: int, like: Tensor) -> KVCache:
        """A fresh cache for `capacity` positions, on the device and in the dtype of `like`."""
        layers, width = len(self.blocks), self.head_width
        rotary = partial(rotary_table, head_width=width, theta=self.theta, like=like.new_empty(0))
        return KVCache(layers, rows, self.heads, capacity, width, rotary, like.device, like.dtype)

    def forward(self, x: Tensor, cache: KVCache | FixedCache, run: Run) -> Tensor:
        """[rows, T, width], which may be changed, to the same."""
        x, shared = cache.begin(x)

        def run_block(layer: int) -> None:
            run.block(cast(Block, self.blocks[layer]), x, shared, layer, cache)

        run.blocks(self.blocks, run_block, cache.span)
        cache.advance(x.shape[1])
        return self.norm(x)


class LeLM(nn.Module):
    """The language model. `operations` supplies the layer classes (torch.nn or ComfyUI's)."""

    def __init__(
        self,
        config: LelmConfig,
        operations: Operations = nn,
        attention: Attention = sdpa,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        factory_kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        width = config.width
        self.config = config
        self.conditioner = Conditioner(config, operations, **factory_kwargs)
        # Input tables of the mixed, the vocal and the accompaniment stream.
        self.codes = nn.ModuleList(
            operations.Embedding(CODES + 2, width, **factory_kwargs) for _ in range(3)
        )
        self.stage1 = Stage(
            config, config.layers, config.rope_theta, operations, attention, **factory_kwargs
        )
        self.bridge_in = operations.Linear(2 * width, width, **factory_kwargs)
        self.bridge_out = operations.Linear(width, width, **factory_kwargs)
        self.stage2 = Stage(
            config, config.layers_sub, config.rope_theta_sub, operations, attention, **factory_kwargs
        )
        self.heads = nn.ModuleList(
            operations.Linear(width, CODES + 1, bias=False, **factory_kwargs) for _ in range(3)
        )

    def condition(self, conditions: Conditions) -> Prefix:
        """Embed prepared ids: both guidance rows of the prefix of both stages."""
        return self.conditioner(conditions)

    def caches(self, rows: int, capacity: int, like: Tensor) -> tuple[KVCache, KVCache]:
        """Fresh caches of both stages for `capacity` positions, on the device of `like`, in its dtype."""
        return self.stage1.cache(rows, capacity, like), self.stage2.cache(rows, capacity, like)

    def get_dynamic_vram__units(self) -> tuple[list[Any], list[Any]]:
        """What ComfyUI asks of a model whose weights it pages in: modules to keep together, first and last.

        A step reads all but the tables of the conditions. Blocks come last of what it reads, because their
        weights can be fetched ahead.
        """
        every_step = [*self.codes, self.bridge_in, self.bridge_out, *self.heads]
        return [every_step, *self.stage1.blocks, *self.stage2.blocks], [self.conditioner]

    def forward(
        self, codes: Tensor, caches: Caches, prefix: Prefix | None = None, run: Run = Run()
    ) -> Tensor:
        """Logits of the position after the last code.

        Args:
            codes: [rows, 3, T] int64, 0 .. EMPTY.
            caches: one for each stage; empty on the first call, which also takes the prefix.
            prefix: embeddings of the conditions, on the first call.
            run: how blocks are run.

        Returns:
            [rows, 3, CODES + 1]: codes and END.
        """
        mixed, vocal, accompaniment = (table(codes[:, k]) for k, table in enumerate(self.codes))
        own1, own2 = mixed, vocal + accompaniment
        if prefix is not None:
            own1 = torch.cat((prefix.stage1, own1), dim=1)
            own2 = torch.cat((prefix.stage2, own2), dim=1)
        hidden1 = self.stage1(own1, caches[0], run)
        bridged = self.bridge_out(F.gelu(self.bridge_in(torch.cat((own2, hidden1), dim=-1))))
        hidden2 = self.stage2(bridged, caches[1], run)
        last = (hidden1[:, -1], hidden2[:, -1], hidden2[:, -1])
        return torch.stack([head(h) for head, h in zip(self.heads, last, strict=True)], dim=1)
