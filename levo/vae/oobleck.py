"""The Oobleck autoencoder: stereo at 48 kHz to 64-channel latents at 25 Hz and back.

Convolutions with snake activations (arXiv:2006.08195; architecture of Stable Audio, arXiv:2402.04825).
Weight norm is folded into the weights when they are loaded. On a CPU the channels of a sample stand side by
side in memory and activations go through the cache in blocks (tests/bench/RESULTS.md says what it brings).
"""

from __future__ import annotations

from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import VaeConfig
from ..layers.operations import Device, Operations

DILATIONS = (1, 3, 9)
CACHED = 131_072  # numbers of an activation that are worked on at once on a CPU: they stay in its cache


def _convolution(layer: type[nn.Conv1d]) -> type[nn.Conv1d]:
    """A one-dimensional layer class that on a CPU convolves channels which stand side by side.

    Torch does that for images alone, so the line is taken for an image of one row. The weights keep their
    shape, and ComfyUI's layers cast and stream them as ever: they too end in `_conv_forward`.
    """

    class Convolution(layer):  # type: ignore[valid-type, misc]
        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if x.device.type != "cpu":
                return super()._conv_forward(x, weight, bias)
            line = x.transpose(1, 2).contiguous()  # nothing to copy after the first layer
            if self.kernel_size == (1,):
                return F.linear(line, weight[:, :, 0], bias).transpose(1, 2)
            image = line.transpose(1, 2)[:, :, None]
            return F.conv2d(
                image, weight[:, :, None], bias, (1, *self.stride), (0, *self.padding), (1, *self.dilation)
            )[:, :, 0]

    return Convolution


def _transposed(layer: type[nn.ConvTranspose1d]) -> type[nn.ConvTranspose1d]:
    """A transposed layer class, its kernel twice its stride, that is two matrix products on a CPU.

    Every sample makes two pieces of the length of the stride; the second adds to the first of the next.
    """

    class Transposed(layer):  # type: ignore[valid-type, misc]
        def forward(self, x: Tensor) -> Tensor:
            if x.device.type != "cpu":
                return super().forward(x)
            # Nothing streams to a CPU: the weight is at hand and at most of another dtype.
            weight, (stride,), (cut,) = self.weight.to(x), self.stride, self.padding
            bias = self.bias.to(x).repeat(stride)
            first, second = (half.transpose(1, 2).flatten(1) for half in weight.split(stride, dim=2))
            pieces = x.new_empty(x.shape[0], x.shape[2] + 1, bias.shape[0])
            for piece, line in zip(pieces, x.transpose(1, 2), strict=True):
                torch.addmm(bias, line, first, out=piece[:-1])
                piece[-1] = bias
                piece[1:].addmm_(line, second)
            return pieces.unflatten(2, (stride, -1)).flatten(1, 2)[:, cut:-cut].transpose(1, 2)

    return Transposed


class Snake(nn.Module):
    """x + sin(alpha x)^2 / beta, with alpha and beta learned per channel on a log scale."""

    def __init__(self, channels: int, device: Device = None, dtype: torch.dtype | None = None):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """[B, channels, T] -> the same, written to `out` (which may be `x`) where it is given."""
        # Cast here because ComfyUI leaves raw parameters where they are when a model is loaded in part.
        alpha = self.alpha.to(x).exp()[:, None]
        height = 1 / (self.beta.to(x).exp()[:, None] + 1e-9)
        out = torch.empty_like(x) if out is None else out
        length = max(1, CACHED // (x.shape[0] * x.shape[1])) if x.device.type == "cpu" else x.shape[2]
        for start in range(0, x.shape[2], length):
            part = x[:, :, start : start + length]
            wave = (part * alpha).sin_().square_()
            torch.addcmul(part, wave, height, out=out[:, :, start : start + length])
        return out


class ResidualUnit(nn.Module):
    """Two convolutions around a skip."""

    def __init__(self, channels: int, dilation: int, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.snake_in = Snake(channels, **factory_kwargs)
        self.wide = _convolution(operations.Conv1d)(
            channels, channels, 7, padding=3 * dilation, dilation=dilation, **factory_kwargs
        )
        self.snake_out = Snake(channels, **factory_kwargs)
        self.narrow = _convolution(operations.Conv1d)(channels, channels, 1, **factory_kwargs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.wide(self.snake_in(x))
        return self.narrow(self.snake_out(y, out=y)).add_(x)


class EncoderBlock(nn.Module):
    """Residual units, then a strided convolution."""

    def __init__(self, into: int, out: int, stride: int, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.units = nn.ModuleList(ResidualUnit(into, d, operations, **factory_kwargs) for d in DILATIONS)
        self.snake = Snake(into, **factory_kwargs)
        self.resample = _convolution(operations.Conv1d)(
            into, out, 2 * stride, stride=stride, padding=ceil(stride / 2), **factory_kwargs
        )

    def forward(self, x: Tensor) -> Tensor:
        for unit in self.units:
            x = unit(x)
        return self.resample(self.snake(x, out=x))


class DecoderBlock(nn.Module):
    """A transposed convolution, then residual units."""

    def __init__(self, into: int, out: int, stride: int, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.snake = Snake(into, **factory_kwargs)
        self.resample = _transposed(operations.ConvTranspose1d)(
            into, out, 2 * stride, stride=stride, padding=ceil(stride / 2), **factory_kwargs
        )
        self.units = nn.ModuleList(ResidualUnit(out, d, operations, **factory_kwargs) for d in DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.resample(self.snake(x, out=x))
        for unit in self.units:
            x = unit(x)
        return x


class Encoder(nn.Module):
    """Stereo to mean and raw scale of the latents."""

    def __init__(self, config: VaeConfig, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        widths = config.widths
        self.first = _convolution(operations.Conv1d)(
            config.audio_channels, widths[0], 7, padding=3, **factory_kwargs
        )
        steps = zip(widths[:-1], widths[1:], config.strides, strict=True)
        self.blocks = nn.ModuleList(EncoderBlock(*step, operations, **factory_kwargs) for step in steps)
        self.snake = Snake(widths[-1], **factory_kwargs)
        self.last = _convolution(operations.Conv1d)(
            widths[-1], 2 * config.latent, 3, padding=1, **factory_kwargs
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(self.snake(x, out=x))


class Decoder(nn.Module):
    """Latents to stereo; the result is not bounded."""

    def __init__(self, config: VaeConfig, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        widths = config.widths[::-1]
        self.first = _convolution(operations.Conv1d)(
            config.latent, widths[0], 7, padding=3, **factory_kwargs
        )
        steps = zip(widths[:-1], widths[1:], config.strides[::-1], strict=True)
        self.blocks = nn.ModuleList(DecoderBlock(*step, operations, **factory_kwargs) for step in steps)
        self.snake = Snake(widths[-1], **factory_kwargs)
        self.last = _convolution(operations.Conv1d)(
            widths[-1], config.audio_channels, 7, padding=3, bias=False, **factory_kwargs
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(self.snake(x, out=x))


class Vae(nn.Module):
    """Encoder and decoder, or the decoder alone, which some files hold.

    `operations` supplies the layer classes (torch.nn or ComfyUI's).
    """

    def __init__(
        self,
        config: VaeConfig,
        operations: Operations = nn,
        device: Device = None,
        dtype: torch.dtype | None = None,
        encodes: bool = True,
    ):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, operations, device=device, dtype=dtype) if encodes else None
        self.decoder = Decoder(config, operations, device=device, dtype=dtype)

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2, samples] -> mean and raw scale, each [B, 64, samples / 1920].

        The posterior's deviation is softplus(raw scale) + 1e-4. Only where there is an encoder.
        """
        assert self.encoder is not None
        mean, scale = self.encoder(audio).chunk(2, dim=1)
        return mean, scale

    def decode(self, latents: Tensor) -> Tensor:
        """[B, 64, T] -> [B, 2, 1920 T], in one piece."""
        return self.decoder(latents)
