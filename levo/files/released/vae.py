"""The released names of the VAE."""

from __future__ import annotations

from ...config import VaeConfig
from ...kinds import Kind
from .layout import Layout, Source, copy_leaves, fold_weight_norm


def vae_layout(config: VaeConfig, encodes: bool = True) -> Layout:
    """Layout of `autoencoder_music_1320k.ckpt`; without its encoder where the model has none."""
    last = len(config.strides) + 1
    sources: dict[str, Source] = {}
    for n in range(len(config.strides)):
        theirs = f"encoder.layers.{n + 1}.layers"
        sources |= _residual_units(f"encoder.blocks.{n}", theirs, first=0)
        sources |= copy_leaves(f"encoder.blocks.{n}.snake", f"{theirs}.3", "alpha", "beta")
        sources |= _conv(f"encoder.blocks.{n}.resample", f"{theirs}.4")
        theirs = f"decoder.layers.{n + 1}.layers"
        sources |= copy_leaves(f"decoder.blocks.{n}.snake", f"{theirs}.0", "alpha", "beta")
        sources |= _conv(f"decoder.blocks.{n}.resample", f"{theirs}.1")
        sources |= _residual_units(f"decoder.blocks.{n}", theirs, first=2)
    for side in ("encoder", "decoder"):
        sources |= _conv(f"{side}.first", f"{side}.layers.0")
        sources |= copy_leaves(f"{side}.snake", f"{side}.layers.{last}", "alpha", "beta")
        sources |= _conv(f"{side}.last", f"{side}.layers.{last + 1}", bias=side == "encoder")
    if not encodes:
        sources = {name: source for name, source in sources.items() if not name.startswith("encoder.")}
    return Layout(Kind.VAE, sources, unused=())


def _residual_units(ours: str, theirs: str, first: int) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for unit in range(3):
        layers = f"{theirs}.{first + unit}.layers"
        sources |= copy_leaves(f"{ours}.units.{unit}.snake_in", f"{layers}.0", "alpha", "beta")
        sources |= _conv(f"{ours}.units.{unit}.wide", f"{layers}.1")
        sources |= copy_leaves(f"{ours}.units.{unit}.snake_out", f"{layers}.2", "alpha", "beta")
        sources |= _conv(f"{ours}.units.{unit}.narrow", f"{layers}.3")
    return sources


def _conv(ours: str, theirs: str, bias: bool = True) -> dict[str, Source]:
    sources = {f"{ours}.weight": Source((f"{theirs}.weight_g", f"{theirs}.weight_v"), fold_weight_norm)}
    return sources | (copy_leaves(ours, theirs, "bias") if bias else {})
