"""Sizes of models that tests run in no time, and what they are filled and fed with."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from levo import tiny
from levo.config import RendererConfig

Model = TypeVar("Model", bound=nn.Module)

# Its tables of codes and ids have as many rows as all have; as narrow as this they cost least.
SMALL_LELM = replace(tiny.LELM, width=8, inner=24, lyric_length=6, style_length=4, delays=(0, 3, 3))
# Wide enough that its bytes are those of numbers, not of what keeps account of them.
WIDER_LELM = replace(SMALL_LELM, width=tiny.LELM.width, inner=tiny.LELM.inner)
SMALL_VAE = replace(tiny.VAE, channels=2)
# Its latents fit the tiny VAE; a song of 40 frames has three windows.
SMALL_RENDERER = RendererConfig(layers=1, heads=2, inner=24, mask=8, latent=64, condition=8, code_width=4,
                                time=8, window=20, overlap=5)  # fmt: skip


def filled(model: Model) -> Model:
    """The model with the weights that the tiny models have: random ones, the same each time."""
    tiny.init_weights(model)
    return model


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(ours: Tensor, theirs: Tensor) -> float:
    """How far tensors are apart, as a part of the second one's length."""
    return float((ours.float() - theirs.float()).norm() / theirs.float().norm())
