"""Files that only look like checkpoints, or come from a later version: what is wrong, in a sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
HEAD = 512  # bytes that tell
MAX_HEADER = 100_000_000  # as safetensors allows


def display_name(path: Path) -> str:
    """A file as messages name it: with its folder, because releases call their files alike."""
    return f"{path.parent.name}/{path.name}"


def find_damage(path: Path) -> str | None:
    """Say what is wrong with a .safetensors, .pt or .ckpt file without reading its tensors.

    Args:
        path: of an existing file.

    Returns:
        One sentence with what to do, or None if the file is whole as far as its structure tells.

    Raises:
        OSError: the file cannot be opened.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
    if size == 0:
        return f"{display_name(path)} is empty; download it again."
    if head.startswith(LFS_POINTER):
        return (
            f"{display_name(path)} is a Git LFS pointer, not the file it stands for; run git lfs pull in "
            "its folder or download the file from its web page."
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"{display_name(path)} is a web page, not a model (a failed download); download it again."
    if path.suffix == ".safetensors":
        return _safetensors_damage(path, size)
    return _zip_damage(path, head)


def raise_if_damaged(path: Path, error: type[Exception]) -> None:
    """Raise an `error` that says what is wrong with a file, or why it cannot be opened."""
    try:
        damage = find_damage(path)
    except OSError as reason:
        raise error(f"{display_name(path)} cannot be opened ({reason.strerror}).") from reason
    if damage:
        raise error(damage)


def raise_if_newer(name: str, written: str | None, known: str, error: type[Exception]) -> None:
    """Raise an `error` if a file of ours has another format than this version of the pack reads.

    Args:
        name: of the file, for the message.
        written: the format that the file says it has.
        known: the format that this version reads.
        error: to raise.
    """
    if written != known:
        raise error(
            f"{name} has format {written}, and this version of ComfyUI-LeVo reads {known}; update it."
        )


def _safetensors_damage(path: Path, size: int) -> str | None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= MAX_HEADER:
            return f"{display_name(path)} is not a safetensors file; download it again."
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            # A header that stops early is a file that stops early.
            return _cut(path, size, 8 + length) if size < 8 + length else _broken(path)
    return _cut(path, size, 8 + length + max(ends, default=0))


def _cut(path: Path, size: int, whole: int) -> str | None:
    if size >= whole:
        return None
    return (
        f"{display_name(path)} was cut off in the download: {size:,} bytes are there, at least {whole:,} "
        "should be; download it again."
    )


def _zip_damage(path: Path, head: bytes) -> str | None:
    if not head.startswith(b"PK"):
        return f"{display_name(path)} is not a torch checkpoint; download it again."
    if not zipfile.is_zipfile(path):  # its directory stands at the end
        return f"{display_name(path)} was cut off in the download; download it again."
    return None


def _broken(path: Path) -> str:
    return f"{display_name(path)} has a broken header; download it again."
