"""An MLX file of LeLM that was opened, or an index of several: its config, and its weights into a model.

Where a config says so, matrices are in few bits: words of 32 bits, lowest bits first along the input axis,
and a scale and a bias for each group of inputs. What lies beside the weights is read as plain data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import CODES, FRAME_RATE, RELEASED_CONFIGS, STYLE_ROWS, LelmConfig
from ..kinds import Kind
from . import config_limits, released
from .damage import display_name
from .packed import Packed, PackedFile, described
from .plain_data import PlainDataError, from_json, read_text, shown
from .release_config import CONFIG, read_config
from .released import MLX_STYLE_TABLE, Layout, mlx_layout
from .tensor_file import CheckpointError, Inventory, read

MLX_CONFIG = "config.json"
OFFICIAL = ("config.official.yaml", CONFIG)  # the published config under another name, or its own
WORD = 32  # bits
BITS = (4, 8)
GROUPS = (32, 64, 128)  # inputs that share a scale
SHORT = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
RUNTIME_KEYS = {
    "width": "hidden_size",
    "inner": "intermediate_size",
    "heads": "num_heads",
    "layers": "num_layers",
    "layers_sub": "num_layers_sub",
    "rope_theta": "rope_theta",
    "rope_theta_sub": "rope_theta_sub",
}
CONSTANTS = {"code_depth": 3, "code_size": CODES, "frame_rate": FRAME_RATE, "prompt_len": 10}


@dataclass(frozen=True)
class MlxFile(PackedFile):
    """An MLX file of LeLM, or the index of one in several."""

    path: Path
    raw: Inventory  # as stored

    @property
    def kind(self) -> Kind:
        """What it holds."""
        return Kind.LELM

    @property
    def inventory(self) -> Inventory:
        """What it holds, packed tensors as those that they stand for.

        Raises:
            CheckpointError: they are packed in a way that is not read.
        """
        return Inventory(described(_unpacked(self.path, self.raw.tensors)))

    @property
    def name(self) -> str:
        """What people may call it: the release and what its numbers are."""
        return f"{self._release()} MLX {self._numbers()}".rstrip()

    def config(self, expected_kind: Kind) -> Any:
        """Config of the model, by what lies beside the file.

        Raises:
            CheckpointError: another kind is wanted, or the config is missing or broken.
        """
        if expected_kind != Kind.LELM:
            raise CheckpointError(
                f"{display_name(self.path)} is a {Kind.LELM}; choose a file that holds a {expected_kind}."
            )
        rows = self.raw.tensors[MLX_STYLE_TABLE].shape[:1] if MLX_STYLE_TABLE in self.raw.tensors else ()
        version = next((v for v, known in STYLE_ROWS.items() if (known,) == tuple(rows)), None)
        if version is None:
            raise CheckpointError(
                f"{display_name(self.path)} is not a {Kind.LELM} of a known release; choose one of "
                "SongGeneration."
            )
        for name in OFFICIAL:
            if os.path.lexists(self.path.parent / name):
                return read_config(self.path.parent / name, version)
        return _runtime_config(self.path, version)

    def load_into(self, model: nn.Module, layout: Layout, device: torch.device | str | None = None) -> None:
        """Give a model the tensors of the file; see `ConvertedFile.load_into`."""
        released.load(model, partial(_tensors, self.path), mlx_layout(layout), device)

    def _release(self) -> str:
        folder = self.path.parent.name
        try:
            config = self.config(Kind.LELM)
        except CheckpointError:
            return folder
        return next((name for name, known in RELEASED_CONFIGS.items() if known == config), folder)

    def _numbers(self) -> str:
        """What the largest table is stored as."""
        style = self.raw.tensors.get(MLX_STYLE_TABLE)
        scales = self.raw.tensors.get(MLX_STYLE_TABLE.replace("weight", "scales"))
        if style is None or scales is None:
            return "" if style is None else SHORT.get(style.dtype, "")
        try:
            return f"{_bits(style, scales, _group(self.path))}-bit"
        except CheckpointError:
            return ""


def _tensors(path: Path) -> dict[str, Tensor | Packed]:
    return _unpacked(path, read(path))


# Packed matrices -----------------------------------------------------------------------------------------


def _unpacked(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor | Packed]:
    """Tensors of a file, each matrix that is packed in place of the three that it is stored as.

    Raises:
        CheckpointError: one is packed in a way that is not read; names it.
    """
    scaled = {_weight_of(name): name for name in tensors if name.endswith(".scales")}
    if not scaled:
        return dict(tensors)
    group = _group(path)
    unpacked: dict[str, Tensor | Packed] = dict(tensors)
    for weight, scales in scaled.items():
        biases = f"{scales.removesuffix('scales')}biases"
        parts = [tensors.get(name) for name in (weight, scales, biases)]
        try:
            unpacked[weight] = _packed(parts, group)
        except ValueError as error:
            raise CheckpointError(
                f"{display_name(path)} holds {weight} in a form that is not read ({error}); download it "
                "again."
            ) from error
        del unpacked[scales], unpacked[biases]
    return unpacked


def _weight_of(scales: str) -> str:
    return f"{scales.removesuffix('scales')}weight"


def _packed(parts: list[Tensor | None], group: int) -> Packed:
    """The matrix that words, scales and biases stand for.

    Raises:
        ValueError: they do not belong together; says why.
    """
    weight, scales, biases = parts
    if weight is None or scales is None or biases is None:
        raise ValueError("its words, scales or biases are missing")
    if any(part.ndim != 2 for part in (weight, scales, biases)) or weight.dtype != torch.uint32:
        raise ValueError("it is no matrix of words")
    if scales.shape != biases.shape or not scales.is_floating_point() or not biases.is_floating_point():
        raise ValueError("its scales and biases differ")
    words, columns, bits = weight.shape[1], scales.shape[1] * group, _bits(weight, scales, group)
    if bits not in BITS or len(scales) != len(weight) or columns * bits != words * WORD:
        raise ValueError(f"{words} words a row are not {columns} numbers of 4 or 8 bits")
    shape = torch.Size((len(weight), columns))
    return Packed(shape, (weight, scales, biases), partial(affine, bits=bits))


def _bits(weight: Tensor, scales: Tensor, group: int) -> int:
    """Bits of a number, by how many there are."""
    return weight.shape[-1] * WORD // max(1, scales.shape[-1] * group)


def affine(weight: Tensor, scales: Tensor, biases: Tensor, bits: int) -> Tensor:
    """Rows of packed numbers as floats: scale times number plus bias, for each group.

    Args:
        weight: [rows, words] uint32, lowest bits first.
        scales, biases: [rows, groups] of any float dtype.
        bits: of a number.

    Returns:
        [rows, columns] float32.
    """
    shifts = torch.arange(0, WORD, bits, dtype=torch.int32)
    numbers = weight.view(torch.int32)[:, :, None] >> shifts & (1 << bits) - 1
    groups = numbers.reshape(*scales.shape, -1).float()
    return groups.mul_(scales.float()[:, :, None]).add_(biases.float()[:, :, None]).flatten(1)


# What lies beside ----------------------------------------------------------------------------------------


def _config_beside(path: Path) -> dict[str, Any]:
    """The config.json beside a file.

    Raises:
        CheckpointError: it is missing or broken.
    """
    file = path.parent / MLX_CONFIG
    if not os.path.lexists(file):
        raise CheckpointError(f"{file} is missing; put it beside the weights it was published with.")
    try:
        config = from_json(read_text(file))
    except (PlainDataError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}); download it again.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{file} is no config of an MLX file; download it again.")
    return config


def _group(path: Path) -> int:
    """Inputs that share a scale in a file.

    Raises:
        CheckpointError: the config beside it does not say, or what is not read.
    """
    config = _config_beside(path)
    quantization = config.get("quantization", config.get("quantization_config"))
    if not isinstance(quantization, dict):
        raise CheckpointError(f"{path.parent / MLX_CONFIG} says no quantization; download it again.")
    group, mode = quantization.get("group_size"), quantization.get("mode", "affine")
    if mode != "affine":
        raise CheckpointError(
            f"{display_name(path)} is quantised as {shown(mode)}, and affine is read; download another."
        )
    if type(group) is not int or group not in GROUPS:
        raise CheckpointError(
            f"{display_name(path)} is quantised in groups of {shown(group)}, and groups of 32, 64 and 128 "
            "are read; download another."
        )
    return group


def _runtime_config(path: Path, version: str) -> LelmConfig:
    """Config by config.json alone, which says less than the published one; the rest is as released.

    Raises:
        CheckpointError: it is missing or broken.
    """
    file, runtime = path.parent / MLX_CONFIG, _config_beside(path).get("runtime")
    try:
        if not isinstance(runtime, dict):
            raise ValueError("no runtime")
        if missing := [key for key in RUNTIME_KEYS.values() if key not in runtime]:
            raise ValueError(f"no {missing[0]}")
        for key, constant in CONSTANTS.items():
            if runtime.get(key, constant) != constant:
                raise ValueError(f"{key} is {shown(runtime[key])}, not {constant}")
        like = RELEASED_CONFIGS["v2-medium" if version == "v2" else "large"]
        fields: dict[str, Any] = {field: runtime[key] for field, key in RUNTIME_KEYS.items()}
        config = LelmConfig(
            version,
            lyric_length=like.lyric_length,
            style_length=like.style_length,
            max_seconds=like.max_seconds,
            **fields,
        )
        config_limits.check(config, RUNTIME_KEYS)
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{file} is not the config of an MLX file ({error}); download it again."
        ) from error
    return config
