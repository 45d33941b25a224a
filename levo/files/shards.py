"""Weights in several files: the index that says which tensor lies in which of the safetensors beside it.

Reads indexes within limits, and no file that lies outside of their folder. Knows nothing of models.
"""

from __future__ import annotations

import re
from pathlib import Path

from .plain_data import PlainDataError, from_json, read_text, shown
from .safetensors_header import read_header

INDEX = ".safetensors.index.json"  # how names of indexes end
SHARD = ".safetensors"
PART = re.compile(r".*-\d{5}-of-(\d{5})\.safetensors")
MAX_SHARDS = 1_000


class ShardError(ValueError):
    """An index cannot be followed; the message says why, as the rest of a sentence about it."""


def is_index(path: Path) -> bool:
    """Whether a file should be an index, by its name."""
    return path.name.endswith(INDEX)


def places(path: Path) -> dict[str, str]:
    """Which file each tensor lies in.

    Args:
        path: of the index.

    Returns:
        Name of a tensor -> name of a file beside the index, which may be missing.

    Raises:
        ShardError: it is no index, or names what lies elsewhere.
        OSError: it cannot be opened.
    """
    try:
        index = from_json(read_text(path))
    except PlainDataError as error:
        raise ShardError(f"cannot be read ({error})") from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or not all(isinstance(n, str) for n in weight_map.values())
    ):
        raise ShardError("is no index of shards")
    files = set(weight_map.values())
    if len(files) > MAX_SHARDS:
        raise ShardError(f"names {len(files):,} files, and at most {MAX_SHARDS:,} are read")
    for name in files:
        if not name.endswith(SHARD) or any(c in name for c in "/\\:\0") or name.startswith("."):
            raise ShardError(f"names {shown(name)}, which is no safetensors file beside it")
    return weight_map


def files_of(path: Path) -> list[Path]:
    """The files that an index names, which may be missing; see `places`."""
    return [path.parent / name for name in sorted(set(places(path).values()))]


def file_in(folder: Path) -> Path:
    """What the weights in a folder are loaded by: their index, or the only safetensors file.

    Raises:
        ShardError: neither is there, or there are several.
    """
    indexes = sorted(folder.glob(f"*{INDEX}"))
    candidates = indexes or sorted(folder.glob(f"*{SHARD}"))
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ShardError(f"holds neither model{INDEX} nor model{SHARD}")
    raise ShardError(
        f"holds {len(candidates)} {'indexes of shards' if indexes else 'safetensors files and no index'}"
    )


def named_by(path: Path) -> list[Path]:
    """The files that a file names; none where it is no index or a broken one."""
    try:
        return files_of(path) if is_index(path) else []
    except (ShardError, OSError):
        return []


def require_files(path: Path) -> None:
    """Raise ShardError for the first file that an index names and that is not there; see `places`."""
    for file in files_of(path):
        if not file.exists():
            raise ShardError(f"names {shown(file.name)}, which is not beside it")


def require_tensors(path: Path) -> None:
    """Raise ShardError for a tensor that is not in its file, or HeaderError for a file; see `places`."""
    weight_map = places(path)
    tensors_of = {file.name: read_header(file).tensors for file in files_of(path)}
    for name, place in weight_map.items():
        if name not in tensors_of[place]:
            raise ShardError(f"names {shown(name)}, which {shown(place)} does not hold")


def is_named(path: Path) -> bool:
    """Whether an index beside a file names it, so that the index stands for it."""
    return any(path in named_by(index) for index in path.parent.glob(f"*{INDEX}"))


def count_in_name(path: Path) -> int:
    """How many files there are by the name of one of them; 1 for any other."""
    match = PART.fullmatch(path.name)
    return int(match[1]) if match else 1
