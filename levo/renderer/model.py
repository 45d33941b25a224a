"""The renderer's weights and forward pass: a transformer that predicts the velocity of latents.

Knows one window and one moment; the solver and the windows are elsewhere. Matrices multiply in the dtype of
the model; what blocks add to, norms, modulation and statistics stay float32, as rounding there is heard.
Modulation: adaLN-single (PixArt-alpha, arXiv:2310.00426); flow matching: arXiv:2210.02747.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import RendererConfig
from ..layers.attention import Attention, sdpa
from ..layers.operations import Device, Operations
from ..layers.tables import rows
from .quantizer import CodebookDecoder

NORM_EPS = 1e-5
ROTARY_THETA = 10_000.0
KNOWN, TO_MAKE = 1, 2  # rows of the mask table; row 0 (no frame) does not occur in a filled window


def rotary_table(count: int, head_width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [count, head width / 2], float32."""
    pairs = torch.arange(0, head_width, 2, device=like.device, dtype=torch.float32)
    positions = torch.arange(count, device=like.device, dtype=torch.float32)
    angle = torch.outer(positions, ROTARY_THETA ** -(pairs / head_width))
    return angle.cos(), angle.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn [B, T, ..., head width] by its positions in float32; neighbours form the pairs.

    A float32 tensor is turned in place, which saves the copies of a tensor as wide as the model.
    """
    cos, sin = (part.view(-1, *(1 for _ in x.shape[2:-1]), part.shape[-1]) for part in table)
    turned = x.float()
    even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
    across = even * sin
    even.mul_(cos).addcmul_(odd, sin, value=-1)
    odd.mul_(cos).add_(across)
    return turned.to(x.dtype)


class FlowBlock(nn.Module):
    """Full attention and a GELU MLP, each shifted, scaled and gated by the moment."""

    def __init__(
        self,
        config: RendererConfig,
        operations: Operations,
        attention: Attention,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        width = config.width
        factory_kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        exact: dict[str, Any] = {"device": device, "dtype": torch.float32}
        self.heads = config.heads
        self.attend = attention
        self.dtype = dtype or torch.get_default_dtype()
        self.modulation = operations.Embedding(6, width, **exact)
        self.attention_norm = operations.LayerNorm(width, eps=NORM_EPS, **exact)
        self.qkv = operations.Linear(width, 3 * width, **factory_kwargs)
        self.out = operations.Linear(width, width, **factory_kwargs)
        self.mlp_norm = operations.LayerNorm(width, eps=NORM_EPS, **exact)
        self.up = operations.Linear(width, config.inner, **factory_kwargs)
        self.down = operations.Linear(config.inner, width, **factory_kwargs)

    def forward(self, x: Tensor, modulation: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        """Change `x` [B, T, width] in place; modulation [B or 1, 6, width], one already added to scales.

        Both are float32.
        """
        chunks = modulation[:, :, None].unbind(1)
        shift_attention, scale_attention, gate_attention, shift_mlp, scale_mlp, gate_mlp = chunks
        h = torch.addcmul(shift_attention, self.attention_norm(x), scale_attention)
        x.addcmul_(gate_attention, self._attention(h.to(self.dtype), table))
        h = torch.addcmul(shift_mlp, self.mlp_norm(x), scale_mlp)
        return x.addcmul_(gate_mlp, self.down(F.gelu(self.up(h.to(self.dtype)), approximate="tanh")))

    def _attention(self, h: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        query_key, value = self.qkv(h).unflatten(-1, (3, self.heads, -1)).split((2, 1), dim=2)
        query, key = rotate(query_key, table).transpose(1, 3).unbind(2)
        return self.out(self.attend(query, key, value.transpose(1, 3)[:, :, 0], False))


@dataclass(frozen=True)
class Schedule:
    """What the flow computes from the moments of a run alone, made once before its first step; float32."""

    shared: Tensor  # [moments, 6, width]: the moments' part of the modulation of every block
    final: Tensor  # [moments, 2, width]: modulation after the last block
    tables: Tensor  # [blocks, 1, 6, width]: the blocks' own part
    positions: Tensor  # [T, width]
    rotary: tuple[Tensor, Tensor]


class FlowTransformer(nn.Module):
    """The velocity field."""

    def __init__(
        self,
        config: RendererConfig,
        operations: Operations,
        attention: Attention,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        width = config.width
        factory_kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        exact: dict[str, Any] = {"device": device, "dtype": torch.float32}
        self.config = config
        self.dtype = dtype or torch.get_default_dtype()
        self.positions = operations.Embedding(config.window, width, **exact)
        self.time_in = operations.Linear(config.time, width, **factory_kwargs)
        self.time_out = operations.Linear(width, width, **factory_kwargs)
        self.time_modulation = operations.Linear(width, 6 * width, **factory_kwargs)
        self.blocks = nn.ModuleList(
            FlowBlock(config, operations, attention, **factory_kwargs) for _ in range(config.layers)
        )
        self.norm = operations.LayerNorm(width, eps=NORM_EPS, **exact)
        self.modulation = operations.Embedding(2, width, **exact)
        self.out = operations.Linear(width, width, **factory_kwargs)

    def _embed_time(self, time: Tensor) -> Tensor:
        half = self.config.time // 2
        rates = torch.exp(
            -math.log(10_000) / half * torch.arange(half, device=time.device, dtype=torch.float32)
        )
        angle = 1000 * time.float()[:, None] * rates
        sinusoids = torch.cat((angle.cos(), angle.sin()), dim=-1).to(self.dtype)
        return self.time_out(F.silu(self.time_in(sinusoids)))

    def schedule(self, times: Tensor, frames: int) -> Schedule:
        """Prepare steps at the moments `times` [S], float32, over `frames` frames."""
        moments = self._embed_time(times)  # [S, width]
        shared = self.time_modulation(F.silu(moments)).unflatten(-1, (6, -1)).float()
        tables = torch.stack([rows(block.modulation, times) for block in self.blocks])[:, None]
        final = rows(self.modulation, times) + moments[:, None]
        # Scales are learned as what is added to one.
        tables[:, :, 1::3] += 1
        final[:, 1] += 1
        rotary = rotary_table(frames, self.config.width // self.config.heads, times)
        return Schedule(shared, final, tables, rows(self.positions, times)[:frames], rotary)

    def step(self, x: Tensor, schedule: Schedule, moments: slice) -> Tensor:
        """Transform frames at one moment for all rows, or at one for each.

        Args:
            x: [B, T, width] float32; see `forward`.
            schedule: made for T frames.
            moments: which of its moments; 1 or B of them.

        Returns:
            [B, T, width]; see `forward`.
        """
        modulation = schedule.tables + schedule.shared[moments]  # [blocks, B or 1, 6, width]
        x = x + schedule.positions
        for block, of_block in zip(self.blocks, modulation.unbind(), strict=True):
            x = block(x, of_block, schedule.rotary)
        shift, scale = schedule.final[moments][:, :, None].unbind(1)
        return self.out(torch.addcmul(shift, self.norm(x), scale).to(self.dtype))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Transform frames at a moment.

        Args:
            x: [B, T, width] float32: mask, known latents, vocal, accompaniment, noisy latents side by side.
            time: [B], 0 (noise) to 1 (latents).

        Returns:
            [B, T, width] in the model's dtype; the last 64 channels are the velocity.
        """
        return self.step(x, self.schedule(time, x.shape[1]), slice(None))


class Renderer(nn.Module):
    """Codebooks, mask table, latent statistics and the velocity field."""

    def __init__(
        self,
        config: RendererConfig,
        operations: Operations = nn,
        attention: Attention = sdpa,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        factory_kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        self.config = config
        self.vocal = CodebookDecoder(config, operations, **factory_kwargs)
        self.accompaniment = CodebookDecoder(config, operations, **factory_kwargs)
        self.mask = operations.Embedding(3, config.mask, **factory_kwargs)
        # Mean and deviation of the latents set the level of the song: never in low precision.
        self.statistics = operations.Embedding(2, config.latent, device=device, dtype=torch.float32)
        self.flow = FlowTransformer(config, operations, attention, **factory_kwargs)

    def condition(self, vocal: Tensor, accompaniment: Tensor) -> Tensor:
        """Codes of both tracks, each [B, T] -> [B, T, 2 * condition width]."""
        return torch.cat((self.vocal(vocal), self.accompaniment(accompaniment)), dim=-1)

    def normalise(self, latents: Tensor) -> Tensor:
        """[B, T, 64] latents of the VAE -> mean 0, deviation 1."""
        mean, deviation = rows(self.statistics, latents)
        return (latents - mean) / deviation

    def denormalise(self, latents: Tensor) -> Tensor:
        """Undo `normalise`."""
        mean, deviation = rows(self.statistics, latents)
        return latents * deviation + mean
