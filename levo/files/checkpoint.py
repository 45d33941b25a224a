"""A checkpoint file that was opened: which kind it is, its config, and its weights into a model.

What a file says of itself is read once, when it is opened. There are released files, those that LeVo Save
Checkpoint wrote, GGUF files (gguf_file.py) and MLX files (mlx_file.py).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..config import ALIKE, RELEASED_CONFIGS, STYLE_ROWS, LelmConfig, VaeConfig
from ..kinds import MODELS, Kind, second_kind
from . import converted, released, shards
from .config_limits import disagreement
from .converted import Provenance
from .damage import display_name
from .gguf_file import GgufFile, open_gguf
from .gguf_header import is_gguf
from .mlx_file import MlxFile
from .release_config import CONFIG, VAE_CONFIG, read_config, read_vae_config
from .released import Layout
from .tensor_file import CheckpointError, Inventory, inventory, read

FULL = "hubert."  # only the full generation of the tokenizer files has tensors of this name


@dataclass(frozen=True)
class ConvertedFile:
    """A file that LeVo Save Checkpoint wrote."""

    path: Path
    inventory: Inventory
    kind: Kind | str  # a text where a later version of the pack wrote the file

    @property
    def name(self) -> str:
        """What people may call it."""
        return self.path.stem

    @property
    def second_kind(self) -> Kind | None:
        """A converted file holds one model."""
        return None

    @property
    def encodes(self) -> bool:
        """Whether it holds the encoder of a VAE: one that was saved of a GGUF file does not."""
        return any(name.startswith("encoder.") for name in self.inventory.tensors)

    @property
    def reads_bytes(self) -> bool:
        """Whether it holds a LeLM that reads bytes in place of Qwen2's vocabulary."""
        return self.inventory.metadata.get(converted.VOCABULARY) == converted.BYTES

    @property
    def provenance(self) -> Provenance | None:
        """Where its weights came from first."""
        return converted.provenance_in(self.inventory)

    def config(self, expected_kind: Kind) -> Any:
        """Config of the model.

        Raises:
            CheckpointError: it is no model of the kind that is wanted, or its config is broken.
        """
        return converted.config_in(self.path, self.inventory, expected_kind)

    def load_into(self, model: nn.Module, layout: Layout, device: torch.device | str | None = None) -> None:
        """Give a model the tensors of the file.

        Args:
            model: of the file's config.
            layout: of a released file of the model's kind.
            device: where the tensors go; None for where the model has them now.

        Raises:
            CheckpointError: the file does not hold what the model needs; the model is then untouched.
        """
        converted.load(model, self.path, self.inventory, layout.kind, device)


@dataclass(frozen=True)
class ReleasedFile:
    """A published file, or any other."""

    path: Path
    inventory: Inventory
    kind: Kind | None  # None if it is no model that is known

    @property
    def name(self) -> str:
        """What people may call it."""
        if self.kind == Kind.LELM:
            return self._release()
        if self.kind in (Kind.RENDERER, Kind.MIXED_ENCODER):
            file = "septoken" if self.kind == Kind.RENDERER else "1rvq"
            whole = any(name.startswith(FULL) for name in self.inventory.tensors)
            return f"{file} {'full' if whole else 'slim'}"
        return self.path.stem

    @property
    def second_kind(self) -> Kind | None:
        """What else the file holds."""
        return self.kind and second_kind(self.kind)

    @property
    def encodes(self) -> bool:
        """Whether it should hold the encoder of a VAE."""
        return True

    @property
    def provenance(self) -> Provenance | None:
        """A released file does not say where it came from."""
        return None

    def config(self, expected_kind: Kind) -> Any:
        """Config of the model: as what lies beside the file says, or as it is known of all releases.

        Raises:
            CheckpointError: it is no model of the kind that is wanted, or what lies beside it is missing or
                broken.
        """
        if expected_kind == Kind.LELM:
            return self._lelm_config()
        if expected_kind == Kind.VAE:
            return self._vae_config()
        if expected_kind == Kind.SEPARATOR:
            return released.separator_config(self.path, self.inventory)
        return MODELS[expected_kind].released

    def load_into(self, model: nn.Module, layout: Layout, device: torch.device | str | None = None) -> None:
        """Give a model the tensors of the file; see `ConvertedFile.load_into`."""
        released.load(model, partial(read, self.path), layout, device)

    def _lelm_config(self) -> LelmConfig:
        rows = released.style_rows({name: t for name, t in self.inventory.tensors.items() if t.ndim})
        version = next((v for v, n in STYLE_ROWS.items() if n == rows), None)
        if version is not None:
            return read_config(self.path.parent / CONFIG, version)
        wrong = self.kind not in (None, Kind.LELM)
        what = f"is a {self.kind}" if wrong else f"is not a {Kind.LELM} of a known release"
        raise CheckpointError(
            f"{display_name(self.path)} {what}; choose the model.pt of a SongGeneration release."
        )

    def _vae_config(self) -> VaeConfig:
        config_file = self.path.parent / VAE_CONFIG
        return read_vae_config(config_file) if os.path.lexists(config_file) else MODELS[Kind.VAE].released

    def _release(self) -> str:
        """A release by the sizes of its LeLM; what sizes cannot tell is told by the folder's name."""
        folder = re.sub(r"^songgeneration[-_]*", "", self.path.parent.name, flags=re.IGNORECASE)
        folder = folder.lower().replace("_", "-") or self.path.stem
        try:
            config = self._lelm_config()
        except CheckpointError:
            return folder
        names = [name for name, known in RELEASED_CONFIGS.items() if known == config]
        names += [name for name, others in ALIKE.items() if {*others} & {*names}]
        named = [name for name in names if name.replace(".", "-") == folder.replace(".", "-")]
        return (named or names or [folder])[0]


CheckpointFile = ConvertedFile | ReleasedFile | GgufFile | MlxFile


def open_checkpoint(path: Path) -> CheckpointFile:
    """Read what a checkpoint file says of itself; its weights are not read.

    Raises:
        CheckpointError: the file cannot be read as a checkpoint.
    """
    if is_gguf(path):
        return open_gguf(path)
    file = described_checkpoint(path, inventory(path))
    if file.kind and (count := shards.count_in_name(path)) > 1:
        raise CheckpointError(
            f"{display_name(path)} is one of {count} files; choose the index that lies beside them, "
            f"model{shards.INDEX}, or download it into their folder."
        )
    return file


def described_checkpoint(
    path: Path, inventory: Inventory, kind: Kind | None = None
) -> ConvertedFile | ReleasedFile | MlxFile:
    """A checkpoint file by what it says of itself.

    Args:
        path: of the file.
        inventory: what it says.
        kind: of the file, if that is known without it.
    """
    if recorded_kind := converted.kind_in(inventory):
        return ConvertedFile(path, inventory, recorded_kind)
    if released.is_mlx(inventory.tensors):
        return MlxFile(path, inventory)
    return ReleasedFile(path, inventory, kind or released.kind_of(inventory.tensors))


def reads_bytes(file: CheckpointFile | None) -> bool:
    """Whether a file holds a LeLM that reads bytes in place of Qwen2's vocabulary; False without a file."""
    return isinstance(file, ConvertedFile) and file.reads_bytes


def fitting_config(file: CheckpointFile, expected_kind: Kind) -> Any:
    """Config of a file's model, which has the sizes of the file's tensors: no other model is built.

    Raises:
        CheckpointError: as the file's `config`, or the sizes differ.
    """
    config = file.config(expected_kind)
    tensors = {released.plain_name(name): tensor for name, tensor in file.inventory.tensors.items()}
    if wrong := disagreement(config, tensors):
        raise CheckpointError(
            f"{display_name(file.path)} does not fit: {wrong}; put the config beside it that it was "
            "published with, or download both again."
        )
    return config
