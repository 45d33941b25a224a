"""Trains the renderer by flow matching (arXiv:2210.02747) to make the latents that stand for codes.

`SmallRenderer` holds the code books' rows in use alone, around the velocity field of the model itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from levo.config import CODES, RendererConfig
from levo.layers.attention import sdpa
from levo.renderer.model import KNOWN, NORM_EPS, TO_MAKE, FlowTransformer, rotary_table
from levo.renderer.solver import SIGMA_MIN

from . import codes, theory
from .data import Songs
from .lelm_training import Rows, stream_codes
from .training_loop import Stage, descend
from .vae_training import Latents, crop_seed

NULL_SHARE, KNOWN_SHARE = 0.1, 0.4
ROWS = 2  # windows a step
DRUMMED = 8  # the weight of frames with drums, which are few: of a snare one in a hundred


class CodeBook(nn.Module):
    """Rows of a code book in use: each a row of its own and one for every part that its code tells of.

    A snare is so learned from all chords that it falls on, and not for each of them anew.
    """

    def __init__(
        self,
        parts_of: Callable[[np.ndarray], tuple[np.ndarray, ...]],
        shape: tuple[int, ...],
        rows: Rows,
        width: int,
    ):
        """Start with parts that add nothing.

        Args:
            parts_of: what codes tell, as `codes.note_of`; one part is -1 where they tell nothing.
            shape: how many there are of each part.
            rows: of the codes in use.
            width: of a row.
        """
        super().__init__()
        self.rows = rows
        self.own = nn.Embedding(rows.count, width)
        self.parts = nn.Embedding(sum(shape) + 1, width)
        nn.init.zeros_(self.parts.weight)
        told = torch.from_numpy(np.stack(parts_of(rows.used.numpy()), axis=1))
        index = told + torch.tensor([sum(shape[:n]) for n in range(len(shape))])
        index[(told < 0).any(1)] = sum(shape)
        self.parts_of = F.pad(index, (0, 0, 0, 1), value=sum(shape))  # [rows in use + 1, parts]

    @property
    def weight(self) -> Tensor:
        """[rows in use + 1, width], as the model's own book has them."""
        return self.own.weight + self.parts(self.parts_of).sum(1)

    def forward(self, code: Tensor) -> Tensor:
        return F.embedding(self.rows.place[code], self.weight)


class SmallRenderer(nn.Module):
    """The model with small code books; its tensors have the model's names."""

    def __init__(self, config: RendererConfig):
        super().__init__()
        self.config = config
        vocal_rows, band_rows = (Rows(CODES, used) for used in stream_codes()[1:])
        self.vocal_book = CodeBook(codes.note_of, codes.NOTE_SHAPE, vocal_rows, config.code_width)
        self.band_book = CodeBook(codes.chord_of, codes.CHORD_SHAPE, band_rows, config.code_width)
        self.vocal_out, self.band_out = (nn.Linear(config.code_width, config.condition) for _ in range(2))
        self.mask = nn.Embedding(3, config.mask)
        self.register_buffer(
            "statistics", torch.stack((torch.zeros(config.latent), torch.ones(config.latent)))
        )
        self.flow = FlowTransformer(config, nn, sdpa)
        self._begin()

    def _begin(self) -> None:
        """Blocks that add little at first; positions that tell their place among four."""
        with torch.no_grad():
            for block in self.flow.blocks:
                block.modulation.weight.normal_(std=0.02)
                block.out.weight.mul_(0.3)
                block.down.weight.mul_(0.3)
            self.flow.modulation.weight.normal_(std=0.02)
            self.flow.time_modulation.weight.mul_(0.1)
            table = self.flow.positions.weight.normal_(std=0.02)
            angle = torch.pi / 2 * torch.arange(len(table))
            for n, wave in enumerate((angle.cos(), angle.sin(), (2 * angle).cos())):
                table[:, n] += 2 * wave  # on the mask's channels, which are the same all along a song

    def condition(self, vocal: Tensor, band: Tensor) -> Tensor:
        """[B, T] codes of both tracks -> [B, T, 2 * condition width]."""
        tracks = ((self.vocal_book, self.vocal_out, vocal), (self.band_book, self.band_out, band))
        return torch.cat([out(book(code)) for book, out, code in tracks], dim=-1)

    def velocity(self, known_input: Tensor, noisy: Tensor, times: Tensor) -> Tensor:
        """[B, T, 64] of the flow, with gradients; the model's own works in place.

        Args:
            known_input: [B, T, width - 64].
            noisy: [B, T, 64].
            times: [B].
        """
        flow = self.flow
        moments = flow._embed_time(times)
        shared = flow.time_modulation(F.silu(moments)).unflatten(-1, (6, -1))
        table = rotary_table(noisy.shape[1], self.config.width // self.config.heads, noisy)
        x = torch.cat((known_input, noisy), dim=-1) + flow.positions.weight[: noisy.shape[1]]
        for block in flow.blocks:
            parts = (block.modulation.weight + shared)[:, :, None].unbind(1)
            shift1, scale1, gate1, shift2, scale2, gate2 = parts
            h = shift1 + _normed(block.attention_norm, x) * (1 + scale1)
            x = x + gate1 * self._attention(block, h, table)
            h = shift2 + _normed(block.mlp_norm, x) * (1 + scale2)
            x = x + gate2 * block.down(F.gelu(block.up(h), approximate="tanh"))
        shift, scale = (flow.modulation.weight + moments[:, None])[:, :, None].unbind(1)
        return flow.out(shift + _normed(flow.norm, x) * (1 + scale))[..., -self.config.latent :]

    def _attention(self, block: nn.Module, h: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        query, key, value = block.qkv(h).unflatten(-1, (3, self.config.heads, -1)).unbind(2)
        query, key = (_rotated(part, table).transpose(1, 2) for part in (query, key))
        attended = F.scaled_dot_product_attention(query, key, value.transpose(1, 2))
        return block.out(attended.transpose(1, 2).flatten(2))


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, NORM_EPS)


def _rotated(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = (part[:, None] for part in table)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def measure(model: SmallRenderer, latents: Latents, songs: Songs) -> None:
    """Set the statistics of the latents."""
    vocal, band, start = songs.crops(crop_seed(6, 0), 64, 400)
    with torch.no_grad():
        z = latents(vocal, band, start // theory.PERIOD * theory.PERIOD).flatten(0, 1)
    model.statistics[0], model.statistics[1] = z.mean(0), z.std(0).clamp(min=0.05)


def renderer(model: SmallRenderer, latents: Latents, songs: Songs, steps: int) -> Stage:
    measure(model, latents, songs)
    config = model.config

    def losses(step: int) -> dict[str, Tensor]:
        vocal, band, _ = songs.crops(crop_seed(5, step), ROWS, config.window)
        with torch.no_grad():
            z = latents(vocal, band, torch.zeros(ROWS, dtype=torch.long))
            z = (z - model.statistics[0]) / model.statistics[1]
        fixed = config.overlap if torch.rand(()) < KNOWN_SHARE else 0
        mask = torch.full((ROWS, config.window), TO_MAKE)
        mask[:, :fixed] = KNOWN
        known = torch.zeros_like(z)
        known[:, :fixed] = z[:, :fixed]
        told = (torch.rand(ROWS, 1, 1) >= NULL_SHARE).float()
        times, noise = torch.randn(ROWS).sigmoid(), torch.randn_like(z)  # as in arXiv:2403.03206
        t = times[:, None, None]
        noisy = (1 - (1 - SIGMA_MIN) * t) * noise + t * z
        known_input = torch.cat((model.mask(mask), known, told * model.condition(vocal, band)), dim=-1)
        error = model.velocity(known_input, noisy, times) - (z - (1 - SIGMA_MIN) * noise)
        drum = torch.from_numpy(codes.chord_of(band.numpy())[2])
        weight = torch.where(drum == codes.NONE, 1.0, DRUMMED)[:, fixed:]
        return descend(flow=(weight * error[:, fixed:].square().mean(-1)).sum() / weight.sum())

    return Stage(
        "renderer", steps, 2e-3, {"renderer": model}, list(model.parameters()), losses, (0.9, 0.98)
    )
