"""MusicFM's weights and forward pass: 24 kHz mono to features at 25 Hz.

A mel spectrogram, convolutions that halve time and pitch twice, conformer layers. Knows nothing of codes.
MusicFM: arXiv:2311.03318; conformer: arXiv:2005.08100; rotary positions: arXiv:2104.09864. Batch norms are
folded into the convolutions before them when weights are loaded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import StyleEncoderConfig
from ..layers.attention import Attention
from ..layers.operations import Operations
from ..layers.tables import rows
from ..progress import OnStep, ignore

HOP = 240  # samples between two columns of the spectrogram
FRAME = 4 * HOP  # samples of a frame of features
EDGE = 5  # frames, more than the convolutions and the spectrogram hear to either side: 9 + 4.3 columns
FFT = 2_048
BINS = FFT // 2 + 1
SILENCE = 1e-10  # power: -100 dB
MEAN, DEVIATION = 6.768444971712967, 18.417922652295623  # of the training data's decibels
NORM_EPS = 1e-5


class Halving(nn.Module):
    """Convolutions around a skip that halve both axes of an image."""

    def __init__(self, into: int, out: int, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.first = operations.Conv2d(into, out, 3, stride=2, padding=1, **factory_kwargs)
        self.second = operations.Conv2d(out, out, 3, padding=1, **factory_kwargs)
        self.skip = operations.Conv2d(into, out, 3, stride=2, padding=1, **factory_kwargs)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu_()).add_(self.skip(x)).relu_()


class FeedForward(nn.Module):
    """A normed SiLU MLP."""

    def __init__(self, config: StyleEncoderConfig, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.norm = operations.LayerNorm(config.width, eps=NORM_EPS, **factory_kwargs)
        self.up = operations.Linear(config.width, config.inner, **factory_kwargs)
        self.down = operations.Linear(config.inner, config.width, **factory_kwargs)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.up(self.norm(x))))


class ConformerLayer(nn.Module):
    """Attention and a convolution over time between two half-weighted MLPs."""

    def __init__(
        self,
        config: StyleEncoderConfig,
        operations: Operations,
        attention: Attention,
        **factory_kwargs: Any,
    ):
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attend = attention
        self.before = FeedForward(config, operations, **factory_kwargs)
        self.attention_norm = operations.LayerNorm(width, eps=NORM_EPS, **factory_kwargs)
        self.query_key = operations.Linear(width, 2 * width, **factory_kwargs)
        self.value = operations.Linear(width, width, **factory_kwargs)
        self.out = operations.Linear(width, width, **factory_kwargs)
        self.conv_norm = operations.LayerNorm(width, eps=NORM_EPS, **factory_kwargs)
        self.widen = operations.Linear(width, 2 * width, bias=False, **factory_kwargs)
        self.depthwise = operations.Conv1d(
            width, width, config.kernel, padding=config.kernel // 2, groups=width, **factory_kwargs
        )
        self.narrow = operations.Linear(width, width, bias=False, **factory_kwargs)
        self.after = FeedForward(config, operations, **factory_kwargs)
        self.norm = operations.LayerNorm(width, eps=NORM_EPS, **factory_kwargs)

    def forward(self, x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        """[B, T, width]; table: cosines and sines [T, 1, head width / 2]."""
        x = x + 0.5 * self.before(x)
        x = x + self._attention(self.attention_norm(x), table)
        x = x + self._convolution(self.conv_norm(x))
        x = x + 0.5 * self.after(x)
        return self.norm(x)

    def _attention(self, x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        # Unlike elsewhere, positions turn what query and key are made from, not query and key.
        turned = rotate(x.unflatten(-1, (self.heads, -1)), table).flatten(2)
        query, key = self.query_key(turned).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, self.value(x))
        )
        return self.out(self.attend(query, key, value, False))

    def _convolution(self, x: Tensor) -> Tensor:
        x = self.depthwise(F.glu(self.widen(x), dim=-1).transpose(1, 2))
        return self.narrow(F.silu(x).transpose(1, 2))


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn [B, T, heads, head width] by its positions; element i pairs with i + half."""
    cos, sin = table
    low, high = x.chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)


class MusicFM(nn.Module):
    """Spectrogram, convolutions and as many conformer layers as are read. Numbers must be float32."""

    def __init__(
        self,
        config: StyleEncoderConfig,
        operations: Operations,
        attention: Attention,
        **factory_kwargs: Any,
    ):
        super().__init__()
        self.config = config
        self.window = operations.Embedding(1, FFT, **factory_kwargs)
        self.filters = operations.Embedding(BINS, config.mels, **factory_kwargs)
        self.rates = operations.Embedding(1, config.width // config.heads // 2, **factory_kwargs)
        self.halvings = nn.ModuleList(
            Halving(into, config.channels, operations, **factory_kwargs) for into in (1, config.channels)
        )
        self.project = operations.Linear(config.channels * config.mels // 4, config.width, **factory_kwargs)
        self.layers = nn.ModuleList(
            ConformerLayer(config, operations, attention, **factory_kwargs) for _ in range(config.layers)
        )

    def mel(self, audio: Tensor) -> Tensor:
        """Normalised decibels of mel bands.

        Args:
            audio: [B, samples] float32 at 24 kHz, more than 1,024 samples.

        Returns:
            [B, mels, samples // 240].
        """
        window = rows(self.window, audio)[0]
        spectrum = torch.stft(audio, FFT, HOP, window=window, pad_mode="reflect", return_complex=True)
        power = spectrum.abs().square()
        bands = rows(self.filters, audio).t() @ power
        decibels = 10 * bands.clamp(min=SILENCE).log10()
        return (decibels[..., :-1] - MEAN) / DEVIATION

    def embed(self, audio: Tensor) -> Tensor:
        """What the first conformer layer is given: [B, samples] -> [B, samples // 960, width]."""
        x = self.mel(audio[:, : audio.shape[1] // FRAME * FRAME])[:, None]
        for halving in self.halvings:
            x = halving(x)
        return self.project(x.permute(0, 3, 1, 2).flatten(2))

    def embed_repeating(self, audio: Tensor, period: int) -> Tensor:
        """`embed` of audio that repeats every `period` frames, which saves convolving the same again.

        Convolutions hear less than EDGE frames to each side, so only the ends of the audio differ.
        """
        frames = audio.shape[1] // FRAME
        if frames < period + 2 * EDGE:
            return self.embed(audio)
        first = self.embed(audio[:, : (period + 2 * EDGE) * FRAME])
        last = self.embed(audio[:, (frames - 2 * EDGE) * FRAME : frames * FRAME])
        middle = torch.arange(frames - 2 * EDGE, device=audio.device) % period + EDGE
        return torch.cat((first[:, :EDGE], first[:, middle], last[:, EDGE:]), dim=1)

    def forward(
        self,
        audio: Tensor,
        layers: int,
        on_step: OnStep = ignore,
        period: int | None = None,
    ) -> Tensor:
        """Features of a clip.

        Args:
            audio: [B, samples] float32 at 24 kHz, more than 1,024 samples.
            layers: conformer layers to run, 0 to those that the config reads.
            on_step: called with (steps done, in all): the convolutions, then each layer.
            period: whole frames after which the audio repeats; None if it does not.

        Returns:
            [B, samples // 960, width].
        """
        x = self.embed_repeating(audio, period) if period else self.embed(audio)
        on_step(1, layers + 1)
        positions = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
        angle = torch.outer(positions, rows(self.rates, x)[0])[:, None]
        table = angle.cos(), angle.sin()
        for done, layer in enumerate(self.layers[:layers], start=2):
            x = layer(x, table)
            on_step(done, layers + 1)
        return x
