"""What the numbers of a config may be, whichever file they come from, and whether a file's tensors agree.

One table holds for config.yaml, the json of the VAE, our own files and what shapes tell of an HTDemucs. It
is asked before anything is built: a model of a billion layers can neither be built nor stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import Tensor

from ..config import (
    FRAME_RATE,
    SAMPLES_PER_FRAME,
    STYLE_ROWS,
    LelmConfig,
    RendererConfig,
    SeparatorConfig,
    VaeConfig,
)
from ..layers import int4
from .plain_data import shown

MAX_SECONDS = 600
SEPARATOR_HEADS = 8  # of HTDemucs's transformer


@dataclass(frozen=True)
class Number:
    """What a number may be."""

    least: float
    most: float
    kinds: tuple[type, ...] = (int,)

    def objection(self, value: Any) -> str | None:
        """What a value is not, None if it is allowed."""
        if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
            return "a number"
        if isinstance(value, self.kinds) and self.least <= value <= self.most:  # false for nan
            return None
        whole = "a whole number" if self.kinds == (int,) else "a number"
        return f"{whole} from {self.least:,.0f} to {self.most:,.0f}"


@dataclass(frozen=True)
class Numbers:
    """What a list of numbers may be."""

    each: Number
    least: int  # how many
    most: int

    def objection(self, value: Any) -> str | None:
        """What a value is not, None if it is allowed."""
        if not isinstance(value, (list, tuple)) or not self.least <= len(value) <= self.most:
            count = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            return f"{count} numbers"
        return next((wrong for one in value if (wrong := self.each.objection(one))), None)


@dataclass(frozen=True)
class Choice:
    """Texts of which a value is one."""

    texts: tuple[str, ...]

    def objection(self, value: Any) -> str | None:
        """What a value is not, None if it is allowed."""
        return None if isinstance(value, str) and value in self.texts else f"one of {', '.join(self.texts)}"


WIDTH, INNER, LAYERS, HEADS = Number(1, 16_384), Number(1, 65_536), Number(1, 200), Number(1, 256)
THETA = Number(1, 1e12, (int, float))
TEXT = Number(1, 8_192)  # ids
LIMITS: dict[type, dict[str, Number | Numbers | Choice]] = {
    LelmConfig: {
        "version": Choice(tuple(STYLE_ROWS)),
        "width": WIDTH,
        "inner": INNER,
        "heads": HEADS,
        "layers": LAYERS,
        "layers_sub": LAYERS,
        "lyric_length": TEXT,
        "style_length": TEXT,
        "max_seconds": Number(1, MAX_SECONDS, (int, float)),
        "rope_theta": THETA,
        "rope_theta_sub": THETA,
        "delays": Numbers(Number(0, MAX_SECONDS * FRAME_RATE), 3, 3),
    },
    RendererConfig: {
        "layers": LAYERS,
        "heads": HEADS,
        "inner": INNER,
        "mask": WIDTH,
        "latent": WIDTH,
        "condition": WIDTH,
        "code_width": WIDTH,
        "time": Number(2, 16_384),
        "window": Number(2, 10_000),
        "overlap": Number(1, 10_000),
    },
    VaeConfig: {
        "channels": Number(1, 4_096),
        "multiples": Numbers(Number(1, 64), 1, 10),
        "strides": Numbers(Number(2, 64), 1, 10),
        "latent": WIDTH,
        "audio_channels": Number(2, 2),
        "chunk": Number(2, 10_000),
        "overlap": Number(1, 10_000),
    },
    SeparatorConfig: {
        "channels": Number(1, 4_096),
        "compression": Number(1, 256),
        "bottom": WIDTH,
        "layers": LAYERS,
    },
}


def check(config: Any, names: Mapping[str, str] | None = None) -> None:
    """Make sure that a config is one that a model can be built of.

    Args:
        config: of a type that LIMITS knows, with whatever its file says.
        names: what the file calls our fields.

    Raises:
        ValueError: it is none; says why, as the rest of a sentence.
    """
    names = names or {}
    if type(config) not in LIMITS:
        raise ValueError("no file says the sizes of this model")
    for field, limit in LIMITS[type(config)].items():
        value = getattr(config, field)
        if wrong := limit.objection(value):
            verb = "are" if field == "delays" else "is"
            value = list(value) if isinstance(value, tuple) else value
            raise ValueError(f"{names.get(field, field)} {verb} {shown(value)}, not {wrong}")
    RELATIONS[type(config)](config)


def _check_lelm(config: LelmConfig) -> None:
    _require_heads(config.width, config.heads)


def _check_renderer(config: RendererConfig) -> None:
    _require_heads(config.width, config.heads)
    if config.time % 2:
        raise ValueError(f"time is {config.time}, not even")
    _require_less(config.overlap, config.window)


def _check_vae(config: VaeConfig) -> None:
    if len(config.multiples) != len(config.strides):
        raise ValueError("c_mults and strides differ in length")
    if config.ratio != SAMPLES_PER_FRAME:
        raise ValueError(f"strides make {config.ratio:,} samples a frame, not {SAMPLES_PER_FRAME:,}")
    _require_less(config.overlap, config.chunk)


def _check_separator(config: SeparatorConfig) -> None:
    if not isinstance(config.segment, Fraction):  # LeVo Save Checkpoint writes no separators
        raise ValueError(f"segment is {shown(config.segment)}, not a fraction")
    if config.bottom % SEPARATOR_HEADS:
        raise ValueError(f"{SEPARATOR_HEADS} heads do not divide a width of {config.bottom}")


RELATIONS: dict[type, Callable[[Any], None]] = {
    LelmConfig: _check_lelm,
    RendererConfig: _check_renderer,
    VaeConfig: _check_vae,
    SeparatorConfig: _check_separator,
}


def _require_heads(width: int, heads: int) -> None:
    """Heads of equal and even width: rotary positions turn pairs."""
    if width % (2 * heads):
        raise ValueError(f"{heads} heads do not divide a width of {width} into even parts")


def _require_less(overlap: int, whole: int) -> None:
    if overlap >= whole:
        raise ValueError(f"an overlap of {overlap} leaves nothing of {whole}")


# Tensors -------------------------------------------------------------------------------------------------

# Field of a config -> a tensor's name, of any sort of file or ours, and the axis that has as many;
# None: such a layer is there for each.
SHAPES: dict[type, list[tuple[str, str, int | None]]] = {
    LelmConfig: [
        ("width", "condition_provider.conditioners.type_info.output_proj.weight", 1),
        ("inner", "transformer.model.layers.0.mlp.gate_proj.weight", 0),
        ("layers", r"transformer\.model\.layers\.(\d+)\..*", None),
        ("layers_sub", r"transformer2\.model\.layers\.(\d+)\..*", None),
        ("width", "cond.style.weight", 1),
        ("inner", "main.blk.0.ffn_gate.weight", 0),
        ("layers", r"main\.blk\.(\d+)\..*", None),
        ("layers_sub", r"detail\.blk\.(\d+)\..*", None),
        ("width", "type_info_output_proj.weight", 1),
        ("inner", "transformer.layers.0.mlp.gate_proj.weight", 0),
        ("layers", r"transformer\.layers\.(\d+)\..*", None),
        ("layers_sub", r"transformer2\.layers\.(\d+)\..*", None),
        ("width", "conditioner.style.weight", 1),
        ("inner", "stage1.blocks.0.down.weight", 1),
        ("layers", r"stage1\.blocks\.(\d+)\..*", None),
        ("layers_sub", r"stage2\.blocks\.(\d+)\..*", None),
    ],
    RendererConfig: [
        ("width", "flow.position_embedding.weight", 1),
        ("window", "flow.position_embedding.weight", 0),
        ("inner", "flow.block.0.ffn.in.weight", 0),
        ("layers", r"flow\.block\.(\d+)\..*", None),
        ("width", "flow.positions.weight", 1),
        ("window", "flow.positions.weight", 0),
        ("inner", "flow.blocks.0.down.weight", 1),
        ("layers", r"flow\.blocks\.(\d+)\..*", None),
    ],
    VaeConfig: [
        ("latent", "decoder.layers.0.weight_v", 1),
        ("latent", "decoder.first.weight", 1),
        ("latent", "vae.decoder.input.weight", 1),
        ("channels", "vae.decoder.output.weight", 1),
    ],
}


def count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers, the group of a pattern, names of tensors have."""
    return len({match[1] for name in tensors if (match := re.fullmatch(pattern, name))})


def size(tensors: Mapping[str, Tensor], name: str, axis: int) -> int:
    """Length of an axis of a tensor; 0 where there is none."""
    shape = tensors[name].shape if name in tensors else ()
    return shape[axis] if axis < len(shape) else 0


def disagreement(config: Any, tensors: Mapping[str, Tensor]) -> str | None:
    """Which size of a config the tensors of its file have otherwise, as the rest of a sentence.

    Args:
        config: of any model.
        tensors: by their plain released names, or by ours.
    """
    for field, name, axis in SHAPES.get(type(config), []):
        declared = getattr(config, field)
        actual = count(tensors, name) if axis is None else size(tensors, name, axis)
        if axis == 1 and actual and tensors[name].dtype == int4.LAYOUT:
            row_bytes = int4.groups(declared) * int4.HALF
            if actual != row_bytes:
                return f"its config asks for {row_bytes:,} bytes a row of {name}, which has {actual:,}"
            continue
        if actual and actual != declared:
            return f"its config says {declared:,} for {field}, and its weights have {actual:,}"
    return None
