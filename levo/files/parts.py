"""Which part of the song machine a file is, told by what is in it; and what people may call it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..kinds import MODELS, Kind, second_kind
from . import style_library
from .checkpoint import open_checkpoint
from .damage import display_name
from .tensor_file import SAFETENSORS, SUFFIXES, CheckpointError

# What a file that cannot be read was meant to be can only be told by its name.
RELEASED_NAMES = {name: kind for kind, model in MODELS.items() for name in model.names}
RELEASED_NAMES |= dict.fromkeys(style_library.RELEASED_NAMES, Kind.PROMPT_LIBRARY)
MAX_LIBRARY = 100_000_000  # bytes; the largest published library has 15 MB


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
    if size < MAX_LIBRARY and path.suffix != SAFETENSORS and style_library.is_library(path):
        return Part(Kind.PROMPT_LIBRARY, path.stem, size)
    try:
        file = open_checkpoint(path)
    except CheckpointError:
        kind = RELEASED_NAMES.get(path.name)
        return Part(kind, f"damaged {display_name(path)}", size, second_kind(kind)) if kind else None
    return Part(file.kind, file.name, size, file.second_kind) if file.kind else None
