"""The Oobleck autoencoder: stereo at 48 kHz to 64-channel latents at 25 Hz and back.

Convolutions with snake activations (arXiv:2006.08195; architecture of Stable Audio, arXiv:2402.04825).
Weight norm is folded into the weights when they are loaded.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor, nn

from ..config import VaeConfig

DILATIONS = (1, 3, 9)


class Snake(nn.Module):
    """x + sin(alpha x)^2 / beta, with alpha and beta learned per channel on a log scale."""

    def __init__(self, channels: int, device=None, dtype=None):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        # Cast here because ComfyUI leaves raw parameters where they are when a model is loaded in part.
        alpha = self.alpha.to(x).exp()[:, None]
        beta = self.beta.to(x).exp()[:, None]
        return x + torch.sin(x * alpha).square() / (beta + 1e-9)


class ResidualUnit(nn.Module):
    """Two convolutions around a skip."""

    def __init__(self, channels: int, dilation: int, operations, **place):
        super().__init__()
        self.snake_in = Snake(channels, **place)
        self.wide = operations.Conv1d(
            channels, channels, 7, padding=3 * dilation, dilation=dilation, **place
        )
        self.snake_out = Snake(channels, **place)
        self.narrow = operations.Conv1d(channels, channels, 1, **place)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(self.snake_out(self.wide(self.snake_in(x))))


class EncoderBlock(nn.Module):
    """Residual units, then a strided convolution."""

    def __init__(self, into: int, out: int, stride: int, operations, **place):
        super().__init__()
        self.units = nn.ModuleList(ResidualUnit(into, d, operations, **place) for d in DILATIONS)
        self.snake = Snake(into, **place)
        self.resample = operations.Conv1d(
            into, out, 2 * stride, stride=stride, padding=ceil(stride / 2), **place
        )

    def forward(self, x: Tensor) -> Tensor:
        for unit in self.units:
            x = unit(x)
        return self.resample(self.snake(x))


class DecoderBlock(nn.Module):
    """A transposed convolution, then residual units."""

    def __init__(self, into: int, out: int, stride: int, operations, **place):
        super().__init__()
        self.snake = Snake(into, **place)
        self.resample = operations.ConvTranspose1d(
            into, out, 2 * stride, stride=stride, padding=ceil(stride / 2), **place
        )
        self.units = nn.ModuleList(ResidualUnit(out, d, operations, **place) for d in DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.resample(self.snake(x))
        for unit in self.units:
            x = unit(x)
        return x


class Encoder(nn.Module):
    """Stereo to mean and raw scale of the latents."""

    def __init__(self, config: VaeConfig, operations, **place):
        super().__init__()
        widths = config.widths
        self.first = operations.Conv1d(config.audio_channels, widths[0], 7, padding=3, **place)
        steps = zip(widths[:-1], widths[1:], config.strides, strict=True)
        self.blocks = nn.ModuleList(EncoderBlock(*step, operations, **place) for step in steps)
        self.snake = Snake(widths[-1], **place)
        self.last = operations.Conv1d(widths[-1], 2 * config.latent, 3, padding=1, **place)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(self.snake(x))


class Decoder(nn.Module):
    """Latents to stereo; the result is not bounded."""

    def __init__(self, config: VaeConfig, operations, **place):
        super().__init__()
        widths = config.widths[::-1]
        self.first = operations.Conv1d(config.latent, widths[0], 7, padding=3, **place)
        steps = zip(widths[:-1], widths[1:], config.strides[::-1], strict=True)
        self.blocks = nn.ModuleList(DecoderBlock(*step, operations, **place) for step in steps)
        self.snake = Snake(widths[-1], **place)
        self.last = operations.Conv1d(widths[-1], config.audio_channels, 7, padding=3, bias=False, **place)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(self.snake(x))


class Vae(nn.Module):
    """Encoder and decoder. `operations` supplies the layer classes (torch.nn or ComfyUI's)."""

    def __init__(self, config: VaeConfig, operations=nn, device=None, dtype=None):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, operations, device=device, dtype=dtype)
        self.decoder = Decoder(config, operations, device=device, dtype=dtype)

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2, samples] -> mean and raw scale, each [B, 64, samples / 1920].

        The posterior's deviation is softplus(raw scale) + 1e-4.
        """
        mean, scale = self.encoder(audio).chunk(2, dim=1)
        return mean, scale

    def decode(self, latents: Tensor) -> Tensor:
        """[B, 64, T] -> [B, 2, 1920 T], in one piece."""
        return self.decoder(latents)
