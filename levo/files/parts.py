"""Which part of the song machine a file is, told by what is in it; and what people may call it."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..kinds import MODELS, Kind
from . import shards, style_library
from .checkpoint import described_checkpoint, open_checkpoint
from .damage import display_name, find_damage, unopened
from .gguf_file import remains_of as remains_of_gguf
from .gguf_header import GGUF
from .tensor_file import ENDINGS, SAFETENSORS, CheckpointError, Inventory, described, size_of
from .torch_zip import texts_in_first_pickle

# What a file that cannot be read was meant to be is told by its name, or by as much as is left of it.
RELEASED_NAMES = {name: kind for kind, model in MODELS.items() for name in model.names}
RELEASED_NAMES |= dict.fromkeys(style_library.RELEASED_NAMES, Kind.PROMPT_LIBRARY)
MAX_LIBRARY = 100_000_000  # bytes; the largest published library has 15 MB
NO_LIBRARIES = (SAFETENSORS, GGUF, ".json")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A file that holds one part."""

    kind: Kind | str  # a text where a later version of the pack wrote the file
    name: str  # short and readable
    size: int  # bytes
    second_kind: Kind | None = None  # a second part in the same file
    whole_name: str | None = field(default=None, compare=False)  # of a damaged file, before it was


def recognise(path: Path) -> Part | None:
    """Tell which part a file holds without reading its weights.

    Whatever the file is, this gives an answer: lists of all nodes are made of them.

    Args:
        path: of a file of any kind, which may be gone.

    Returns:
        The part; None if the file is none. A file that cannot be read is logged, and is the part that its
        name says or as much of it as can be read.
    """
    if not path.name.endswith(ENDINGS):
        return None
    try:
        return _recognise(path)
    except Exception as error:  # a file of others may raise anything
        log.warning("LeVo cannot use a file: %s", _sentence(path, error))
    try:
        return _damaged(path, _remains_of(path))
    except Exception:  # nothing is left that tells
        return _damaged(path, Inventory({}))


def damage_of(path: Path) -> str | None:
    """What is wrong with a file, in a sentence that begins with its name; None if it can be read."""
    try:
        if path.suffix not in NO_LIBRARIES and style_library.is_library(path):
            return None
        open_checkpoint(path)
    except Exception as error:
        return _sentence(path, error)
    return None


def _recognise(path: Path) -> Part | None:
    size = path.stat().st_size
    if _may_be_library(path, size) and find_damage(path) is None and style_library.is_library(path):
        return Part(Kind.PROMPT_LIBRARY, path.stem, size)
    if path.suffix == SAFETENSORS and shards.is_named(path):
        return None  # its index stands for it
    file = open_checkpoint(path)
    return Part(file.kind, file.name, size_of(path), file.second_kind) if file.kind else None


def _may_be_library(path: Path, size: int) -> bool:
    return size < MAX_LIBRARY and path.suffix not in NO_LIBRARIES


def _sentence(path: Path, error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return str(error)
    if isinstance(error, OSError):
        return unopened(path, error)
    return f"{display_name(path)} cannot be read ({type(error).__name__}); download it again."


def _damaged(path: Path, inventory: Inventory) -> Part | None:
    name = f"damaged {display_name(path)}"
    if path.suffix == GGUF:
        kind_left, whole = remains_of_gguf(path)
        return Part(kind_left, name, _size(path), None, whole) if kind_left else None
    kind = RELEASED_NAMES.get(path.name)
    file = described_checkpoint(path, inventory, kind)
    if not file.kind:
        return None
    return Part(kind or file.kind, name, _size(path), file.second_kind, file.name)


def _size(path: Path) -> int:
    try:
        return size_of(path)
    except (OSError, ValueError):
        return 0


def _remains_of(path: Path) -> Inventory:
    """What a file that cannot be read still says of itself."""
    if path.suffix == SAFETENSORS:
        return described(path)
    if shards.is_index(path):
        return _remains_of_shards(path)
    return Inventory(dict.fromkeys(texts_in_first_pickle(path), torch.empty(0, device="meta")))


def _remains_of_shards(index: Path) -> Inventory:
    """What an index says that there is, as far as the files that it names have it."""
    tensors = dict.fromkeys(shards.places(index), torch.empty(0, device="meta", dtype=torch.uint8))
    for file in shards.files_of(index):
        with suppress(ValueError, OSError):
            tensors |= described(file).tensors
    return Inventory(tensors)
