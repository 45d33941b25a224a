"""What a weight file holds: its tensors, memory-mapped, or only their names and shapes.

Knows safetensors files and torch's zip checkpoints, nothing of the models in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from . import pickles
from .damage import display_name, raise_if_damaged

SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".ckpt", ".th")
INNER = ("state_dict", "state")  # where training wrappers, and Demucs, keep the tensors
BLOCK = 1 << 24  # bytes hashed at a time


class CheckpointError(ValueError):
    """A file does not hold the model it should; the message is for the user."""


@dataclass(frozen=True)
class Inventory:
    """What a file says of itself."""

    tensors: dict[str, Tensor]  # name -> tensor on the meta device
    metadata: dict[str, str] = field(default_factory=dict)  # safetensors only


def inventory(path: Path) -> Inventory:
    """Names and shapes of a file's tensors; their values are not read.

    Raises:
        CheckpointError: the file cannot be read as a checkpoint.
    """
    raise_if_damaged(path, CheckpointError)
    try:
        if path.suffix != SAFETENSORS:
            return Inventory(_tensors(pickles.load(path, "meta")))
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except Exception as error:
        raise _unreadable(path) from error
    return Inventory({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, metadata)


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, memory-mapped; pickles are read with weights only.

    Raises:
        CheckpointError: the file cannot be read as a checkpoint.
    """
    raise_if_damaged(path, CheckpointError)
    try:
        if path.suffix == SAFETENSORS:
            return load_file(path)
        return _tensors(pickles.load(path))
    except Exception as error:
        raise _unreadable(path) from error


def sha256_of(path: Path, on_step: Callable[[int, int], None]) -> str:
    """Hash of a file in hexadecimal; `on_step` is told (done, total) bytes, and what it raises stops."""
    total, digest = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            on_step(file.tell(), total)
    return digest.hexdigest()


def _unreadable(path: Path) -> CheckpointError:
    return CheckpointError(f"{display_name(path)} cannot be read as a checkpoint; download it again.")


def _tensors(content: object) -> dict[str, Tensor]:
    content = content if isinstance(content, dict) else {}
    tensors = next((content[key] for key in INNER if isinstance(content.get(key), dict)), content)
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
