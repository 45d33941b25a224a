"""Which part of the song machine a file is, told by what is in it; and what people may call it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ..config import RELEASED, STYLE_ROWS, LelmConfig, RendererConfig, SeparatorConfig, VaeConfig
from ..kinds import MODELS, Kind, second_kind
from . import converted, released, style_library
from .damage import display_name
from .release_config import CONFIG, VAE_CONFIG, read_config, read_vae_config
from .released import Layout
from .tensor_file import SAFETENSORS, SUFFIXES, CheckpointError, Inventory, inventory, read

# What a file that cannot be read was meant to be can only be told by its name.
RELEASED_NAMES = {name: kind for kind, model in MODELS.items() for name in model.names}
RELEASED_NAMES |= dict.fromkeys(style_library.RELEASED_NAMES, Kind.PROMPT_LIBRARY)
LIBRARY_MOST = 100_000_000  # bytes; the largest published library has 15 MB
FULL = "hubert."  # only the full generation of the tokenizer files has tensors of this name


@dataclass(frozen=True)
class Part:
    """A file that holds one part."""

    kind: Kind | str  # a text where a later version of the pack wrote the file
    name: str  # short and readable
    size: int  # bytes
    second_kind: Kind | None = None  # a second part in the same file


def recognise(path: Path) -> Part | None:
    """Tell which part a file holds without reading its weights.

    Args:
        path: of an existing file, of any kind.

    Returns:
        The part; None if the file is none. A file that cannot be read is the part that its name says.
    """
    if path.suffix not in SUFFIXES:
        return None
    size = path.stat().st_size
    if size < LIBRARY_MOST and path.suffix != SAFETENSORS and style_library.is_library(path):
        return Part(Kind.PROMPT_LIBRARY, path.stem, size)
    try:
        found = inventory(path)
    except CheckpointError:
        kind = RELEASED_NAMES.get(path.name)
        return Part(kind, f"damaged {display_name(path)}", size, second_kind(kind)) if kind else None
    if kind := converted.kind_in(found):
        return Part(kind, _name(path, kind, found), size)
    kind = released.kind_of(found.tensors)
    return Part(kind, _name(path, kind, found), size, second_kind(kind)) if kind else None


def lelm_config(path: Path) -> LelmConfig:
    """Sizes of the LeLM in a file: of a converted file by itself, of a released one by its config.yaml.

    Raises:
        CheckpointError: not a LeLM, or its config.yaml is missing or broken.
    """
    found = inventory(path)
    if converted.kind_in(found):
        return converted.config_in(path, found, Kind.LELM)
    rows = released.style_rows(found.tensors)
    version = next((v for v, n in STYLE_ROWS.items() if n == rows), None)
    if version is None:
        raise _not_a(Kind.LELM, path, found)
    return read_config(path.parent / CONFIG, version)


def renderer_config(path: Path) -> RendererConfig:
    """Sizes of the renderer in a file.

    Raises:
        CheckpointError: the file cannot be read as a renderer.
    """
    found = inventory(path)
    return (
        converted.config_in(path, found, Kind.RENDERER)
        if converted.kind_in(found)
        else MODELS[Kind.RENDERER].released
    )


def vae_config(path: Path) -> VaeConfig:
    """Sizes of the VAE in a file: by the json beside a released one, or as they are known.

    Raises:
        CheckpointError: the file cannot be read as a VAE, or its json is broken.
    """
    found = inventory(path)
    if converted.kind_in(found):
        return converted.config_in(path, found, Kind.VAE)
    beside = path.parent / VAE_CONFIG
    return read_vae_config(beside) if beside.exists() else MODELS[Kind.VAE].released


def separator_config(path: Path) -> SeparatorConfig:
    """Sizes of the HTDemucs in a file.

    Raises:
        CheckpointError: the file cannot be read as an HTDemucs with four stems.
    """
    return released.separator_config(path)


def load_weights(
    model: nn.Module, path: Path, layout: Layout, device: torch.device | str | None = None
) -> None:
    """Give a model the tensors of a file, released or converted.

    Args:
        model: of the file's config.
        path: of the file.
        layout: of a released file of this kind.
        device: where the tensors go; None for where the model has them now.

    Raises:
        CheckpointError: the file does not hold what the model needs; the model is then untouched.
    """
    if converted.kind_in(inventory(path)):
        converted.load(model, path, layout.kind, device)
    else:
        released.load(model, partial(read, path), layout, device)


def _not_a(wanted: Kind, path: Path, found: Inventory) -> CheckpointError:
    kind = released.kind_of(found.tensors)
    what = f"is a {kind}" if kind not in (None, wanted) else f"is not a {wanted} of a known release"
    return CheckpointError(f"{display_name(path)} {what}; choose the model.pt of a SongGeneration release.")


def _name(path: Path, kind: Kind | str, found: Inventory) -> str:
    if kind == Kind.LELM and not converted.kind_in(found):
        return _release(path)
    if kind in (Kind.RENDERER, Kind.MIXED_ENCODER) and not converted.kind_in(found):
        file = "septoken" if kind == Kind.RENDERER else "1rvq"
        return f"{file} {'full' if any(name.startswith(FULL) for name in found.tensors) else 'slim'}"
    return path.stem


def _release(path: Path) -> str:
    """A release by the sizes of its LeLM; what sizes cannot tell is told by the folder's name."""
    folder = re.sub(r"^songgeneration[-_]*", "", path.parent.name, flags=re.IGNORECASE)
    folder = folder.lower().replace("_", "-") or path.stem
    try:
        config = lelm_config(path)
    except CheckpointError:
        return folder
    names = [name for name, known in RELEASED.items() if known == config]
    return folder if folder in names or not names else names[0]
