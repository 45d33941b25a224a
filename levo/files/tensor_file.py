"""What a weight file holds: its tensors, memory-mapped, or only their names and shapes.

Knows safetensors files and torch's zip checkpoints, nothing of the models in them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor

from . import pickles, shards
from .damage import display_name, raise_if_damaged
from .gguf_header import GGUF
from .safetensors_header import read_header

SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".ckpt", ".th", GGUF)
ENDINGS = (*SUFFIXES, shards.INDEX)  # of the names of all files that weights are loaded by
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
    """Names and shapes of a file's tensors, or of those that an index names; their values are not read.

    Raises:
        CheckpointError: the file cannot be read as a checkpoint.
    """
    raise_if_damaged(path, CheckpointError)
    try:
        if shards.is_index(path):
            return Inventory(_joined(path, lambda file: described(file).tensors))
        if path.suffix == SAFETENSORS:
            return described(path)
        tensors = _tensors(pickles.load(path, "meta"))
        _raise_if_larger(tensors, path.stat().st_size)
        return Inventory(tensors)
    except Exception as error:
        raise _unreadable(path) from error


def described(path: Path) -> Inventory:
    """What the header of a safetensors file says, even if the file is cut off behind it.

    Raises:
        HeaderError: there is no header, or a broken one.
        OSError: the file cannot be opened.
    """
    header = read_header(path)
    tensors = {
        name: torch.empty(entry.shape, dtype=entry.dtype or torch.uint8, device="meta")
        for name, entry in header.tensors.items()
    }
    return Inventory(tensors, header.metadata)


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, or those that an index names, memory-mapped; pickles are read with weights only.

    Raises:
        CheckpointError: the file cannot be read as a checkpoint.
    """
    raise_if_damaged(path, CheckpointError)
    try:
        if shards.is_index(path):
            return _joined(path, load_file)
        if path.suffix == SAFETENSORS:
            return load_file(path)
        return _tensors(pickles.load(path))
    except Exception as error:
        raise _unreadable(path) from error


def size_of(path: Path) -> int:
    """Bytes of a file; of an index, of the files that it names and that are there."""
    files = shards.files_of(path) if shards.is_index(path) else [path]
    return sum(file.stat().st_size for file in files if file.exists() or file == path)


def _joined(path: Path, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors that an index names, each from the file that it names for it."""
    tensors_of = {file.name: read(file) for file in shards.files_of(path)}
    return {name: tensors_of[place][name] for name, place in shards.places(path).items()}


def sha256_of(path: Path, on_step: Callable[[int, int], None]) -> str:
    """Hash of a file in hexadecimal; `on_step` is told (done, total) bytes, and what it raises stops."""
    with path.open("rb") as file:
        return hash_of_rest(file, hashlib.sha256(), on_step)


def hash_of_rest(file: BinaryIO, digest: Any, on_step: Callable[[int, int], None]) -> str:
    """What hashlib's `digest` comes to with all that is still to be read of a file; see `sha256_of`."""
    total = os.fstat(file.fileno()).st_size
    while block := file.read(BLOCK):
        digest.update(block)
        on_step(file.tell(), total)
    return str(digest.hexdigest())


def _unreadable(path: Path) -> CheckpointError:
    return CheckpointError(f"{display_name(path)} cannot be read as a checkpoint; download it again.")


def _tensors(content: object) -> dict[str, Tensor]:
    content = content if isinstance(content, dict) else {}
    tensors = next((content[key] for key in INNER if isinstance(content.get(key), dict)), content)
    return {
        name: tensor
        for name, tensor in tensors.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }


def _raise_if_larger(tensors: dict[str, Tensor], size: int) -> None:
    """Torch makes memory for numbers that a pickle speaks of and that its file does not have."""
    for name, tensor in tensors.items():
        if tensor.layout is torch.strided and tensor.untyped_storage().nbytes() > size:
            raise ValueError(f"{name} is larger than its file")
