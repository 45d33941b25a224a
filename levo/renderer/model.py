"""The renderer's weights and forward pass: a transformer that predicts the velocity of latents.

Knows one window and one moment; the solver and the windows are elsewhere.
Modulation: adaLN-single (PixArt-alpha, arXiv:2310.00426); flow matching: arXiv:2210.02747.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..attention import Attention, sdpa
from ..config import RendererConfig
from .quantizer import Quantizer

NORM_EPS = 1e-5
ROTARY_THETA = 10_000.0
KNOWN, TO_MAKE = 1, 2  # rows of the mask table; row 0 (no frame) does not occur in a filled window


def _rows(table: nn.Module, like: Tensor) -> Tensor:
    """All rows of a small table. Tables are embeddings because ComfyUI can stream those."""
    return table(torch.arange(table.num_embeddings, device=like.device)).to(like.dtype)


def rotary_table(count: int, head_width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [count, head width / 2], float32."""
    pairs = torch.arange(0, head_width, 2, device=like.device, dtype=torch.float32)
    positions = torch.arange(count, device=like.device, dtype=torch.float32)
    angle = torch.outer(positions, ROTARY_THETA ** -(pairs / head_width))
    return angle.cos(), angle.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn [B, heads, T, head width] by its positions in float32; neighbours form the pairs."""
    cos, sin = table
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


class FlowBlock(nn.Module):
    """Full attention and a GELU MLP, each shifted, scaled and gated by the moment."""

    def __init__(self, config: RendererConfig, operations, attention: Attention, **place):
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attend = attention
        self.modulation = operations.Embedding(6, width, **place)
        self.attention_norm = operations.LayerNorm(width, eps=NORM_EPS, **place)
        self.qkv = operations.Linear(width, 3 * width, **place)
        self.out = operations.Linear(width, width, **place)
        self.mlp_norm = operations.LayerNorm(width, eps=NORM_EPS, **place)
        self.up = operations.Linear(width, config.inner, **place)
        self.down = operations.Linear(config.inner, width, **place)

    def forward(self, x: Tensor, moment: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        # moment: [B, 6, width]
        chunks = (_rows(self.modulation, x) + moment)[:, :, None].unbind(1)
        shift_attention, scale_attention, gate_attention, shift_mlp, scale_mlp, gate_mlp = chunks
        h = self.attention_norm(x) * (1 + scale_attention) + shift_attention
        query, key, value = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        h = self.attend(rotate(query, table), rotate(key, table), value, False)
        x = x + gate_attention * self.out(h)
        h = self.mlp_norm(x) * (1 + scale_mlp) + shift_mlp
        return x + gate_mlp * self.down(F.gelu(self.up(h), approximate="tanh"))


class FlowTransformer(nn.Module):
    """The velocity field."""

    def __init__(self, config: RendererConfig, operations, attention: Attention, **place):
        super().__init__()
        width = config.width
        self.config = config
        self.positions = operations.Embedding(config.window, width, **place)
        self.time_in = operations.Linear(config.time, width, **place)
        self.time_out = operations.Linear(width, width, **place)
        self.time_modulation = operations.Linear(width, 6 * width, **place)
        self.blocks = nn.ModuleList(
            FlowBlock(config, operations, attention, **place) for _ in range(config.layers)
        )
        self.norm = operations.LayerNorm(width, eps=NORM_EPS, **place)
        self.modulation = operations.Embedding(2, width, **place)
        self.out = operations.Linear(width, width, **place)

    def _embed_time(self, time: Tensor, dtype: torch.dtype) -> Tensor:
        half = self.config.time // 2
        rates = torch.exp(
            -math.log(10_000) / half * torch.arange(half, device=time.device, dtype=torch.float32)
        )
        angle = 1000 * time.float()[:, None] * rates
        sinusoids = torch.cat((angle.cos(), angle.sin()), dim=-1).to(dtype)
        return self.time_out(F.silu(self.time_in(sinusoids)))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Transform frames at a moment.

        Args:
            x: [B, T, width]: mask, known latents, vocal, accompaniment, noisy latents side by side.
            time: [B], 0 (noise) to 1 (latents).

        Returns:
            [B, T, width]; the last 64 channels are the velocity.
        """
        moment = self._embed_time(time, x.dtype)  # [B, width]
        shared = self.time_modulation(F.silu(moment)).unflatten(-1, (6, -1))
        table = rotary_table(x.shape[1], self.config.width // self.config.heads, x)
        x = x + _rows(self.positions, x)[: x.shape[1]]
        for block in self.blocks:
            x = block(x, shared, table)
        shift, scale = (_rows(self.modulation, x) + moment[:, None])[:, :, None].unbind(1)
        return self.out(self.norm(x) * (1 + scale) + shift)


class Renderer(nn.Module):
    """Codebooks, mask table, latent statistics and the velocity field."""

    def __init__(
        self, config: RendererConfig, operations=nn, attention: Attention = sdpa, device=None, dtype=None
    ):
        super().__init__()
        place = {"device": device, "dtype": dtype}
        self.config = config
        self.vocal = Quantizer(config, operations, **place)
        self.accompaniment = Quantizer(config, operations, **place)
        self.mask = operations.Embedding(3, config.mask, **place)
        # Mean and deviation of the latents set the level of the song: never in low precision.
        self.statistics = operations.Embedding(2, config.latent, device=device, dtype=torch.float32)
        self.flow = FlowTransformer(config, operations, attention, **place)

    def condition(self, vocal: Tensor, accompaniment: Tensor) -> Tensor:
        """Codes of both tracks, each [B, T] -> [B, T, 2 * condition width]."""
        return torch.cat((self.vocal(vocal), self.accompaniment(accompaniment)), dim=-1)

    def normalise(self, latents: Tensor) -> Tensor:
        """[B, T, 64] latents of the VAE -> mean 0, deviation 1."""
        mean, deviation = _rows(self.statistics, latents)
        return (latents - mean) / deviation

    def denormalise(self, latents: Tensor) -> Tensor:
        """Undo `normalise`."""
        mean, deviation = _rows(self.statistics, latents)
        return latents * deviation + mean
