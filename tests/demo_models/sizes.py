"""Sizes of the demo models: the released architecture, small."""

from __future__ import annotations

from levo.config import LelmConfig, RendererConfig, VaeConfig

VAE = VaeConfig(channels=8, multiples=(1, 2, 6, 10, 28))
RENDERER = RendererConfig(
    layers=2, heads=4, inner=512, mask=8, condition=32, code_width=32, time=64, window=1_000, overlap=248
)
LELM = LelmConfig(
    version="v2",
    width=128,
    inner=192,
    heads=4,
    layers=3,
    layers_sub=2,
    lyric_length=600,
    style_length=100,
    max_seconds=60,
    rope_theta=2_000,
    rope_theta_sub=2_000,
)
