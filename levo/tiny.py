"""Models for tests: released modules at a small size, with random weights that follow from their names.

They need no file and make noise. Workflows from before there were demo models name them; style encoders and
the separator have no other built-in model.
"""

from __future__ import annotations

import zlib
from fractions import Fraction

import torch
from torch import Tensor, nn

from .config import (
    CODES,
    PROMPT_FRAMES,
    LelmConfig,
    RendererConfig,
    SeparatorConfig,
    StyleEncoderConfig,
    VaeConfig,
)
from .layers import quantised, weights

LELM = LelmConfig(
    version="v2",
    width=32,
    inner=96,
    heads=2,
    layers=2,
    layers_sub=1,
    lyric_length=600,
    style_length=100,
    max_seconds=48,
    rope_theta=500_000,
)
RENDERER = RendererConfig(layers=2, heads=4, inner=400, mask=8, condition=32, time=64)
VAE = VaeConfig(channels=8)
SEPARATOR = SeparatorConfig(channels=4, compression=4, bottom=8, layers=1, segment=Fraction(2))
SIZES = {"width": 32, "inner": 64, "heads": 2, "channels": 8, "mels": 32, "code_width": 8}
MIXED_ENCODER = StyleEncoderConfig(("mixed",), (2,), **SIZES)
TRACK_ENCODER = StyleEncoderConfig(("vocal", "accompaniment"), (2, 1), **SIZES)
LOUDNESS = 0.003  # of the last VAE layer's weights: keeps the noise at a bearable level


def _weight(name: str, shape: torch.Size) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    x = torch.randn(shape, generator=generator)
    if name == "statistics.weight":
        return torch.stack((torch.zeros(shape[1]), torch.ones(shape[1])))
    if len(shape) == 1:  # norm gains near one; biases and snake coefficients near zero
        return 0.1 * x + (1 if name.endswith("norm.weight") else 0)
    scale = LOUDNESS if name == "decoder.last.weight" else 1
    return scale * x / (x[0].numel() ** 0.5)


def init_weights(model: nn.Module, device: torch.device | str | None = None) -> None:
    """Give a model tensors that follow from their names and shapes.

    Args:
        model: whose tensors are replaced.
        device: where the tensors go; None for where the model has them now.
    """
    names = model.state_dict().items()
    scales = quantised.scale_names(model)  # follow from their weights
    values = ((name, _weight(name, tensor.shape)) for name, tensor in names if name not in scales)
    weights.assign(model, values, device)


def style() -> Tensor:
    """Codes [1, 3, 250] int64 of a style that stands for nothing; always the same."""
    generator = torch.Generator().manual_seed(zlib.crc32(b"style"))
    return torch.randint(CODES, (1, 3, PROMPT_FRAMES), generator=generator)
