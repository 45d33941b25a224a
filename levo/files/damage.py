"""Files that only look like checkpoints, or come from a later version: what is wrong, in a sentence."""

from __future__ import annotations

import os
import stat
import unicodedata
import zipfile
from pathlib import Path

from . import gguf_header, shards, torch_zip
from .safetensors_header import HeaderCut, HeaderError, NoHeader, read_header

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
HEAD = 512  # bytes that tell
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # categories of Unicode: controls, halves of pairs, ends of lines


def printable(name: str) -> str:
    """A name as messages show it: bytes that are no text, and breaks of lines, as escapes."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in UNPRINTABLE else c for c in name
    )


def display_name(path: Path) -> str:
    """A file as messages name it: with its folder, because releases call their files alike."""
    return printable(f"{path.parent.name}/{path.name}")


def find_damage(path: Path) -> str | None:
    """Say what is wrong with a .safetensors, .gguf, .pt or .ckpt file, or with an index of several.

    Their tensors are not read.

    Args:
        path: of an existing file.

    Returns:
        One sentence with what to do, or None if the file is whole as far as its structure tells.

    Raises:
        OSError: the file cannot be opened.
    """
    name = display_name(path)
    if not is_text(str(path)):
        return f"{name} lies under a name that is no text in UTF-8; rename it."
    if os.path.islink(path) and not os.path.exists(path):
        return f"{name} is a link that leads nowhere; put the file there that it stood for."
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        return f"{name} is a folder, a pipe or a device, not a file; move it away."
    with path.open("rb") as file:
        head = file.read(HEAD)
    if state.st_size == 0:
        return f"{name} is empty; download it again."
    if head.startswith(LFS_POINTER):
        return (
            f"{name} is a Git LFS pointer, not the file it stands for; run git lfs pull in "
            "its folder or download the file from its web page."
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"{name} is a web page, not a model (a failed download); download it again."
    if shards.is_index(path):
        return _index_damage(path)
    if path.suffix == gguf_header.GGUF or head.startswith(gguf_header.MAGIC):
        return _gguf_damage(path, state.st_size)
    if path.suffix == ".safetensors":
        return _safetensors_damage(path, state.st_size)
    return _zip_damage(path, head)


def is_text(name: str) -> bool:
    """Whether a name of a file can be written as UTF-8, as the readers of weights want it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def raise_if_damaged(path: Path, error: type[Exception]) -> None:
    """Raise an `error` that says what is wrong with a file, or why it cannot be opened."""
    try:
        damage = find_damage(path)
    except OSError as reason:
        raise error(unopened(path, reason)) from reason
    if damage:
        raise error(damage)


def unopened(path: Path, reason: OSError) -> str:
    """Why a file cannot be opened, in a sentence."""
    advice = "look at its disk"
    if isinstance(reason, PermissionError):
        advice = "give ComfyUI the right to read it"
    if isinstance(reason, FileNotFoundError):
        advice = "choose another"
    return f"{display_name(path)} cannot be opened ({reason.strerror}); {advice}."


def raise_if_newer(name: str, written: str | None, known: str, error: type[Exception]) -> None:
    """Raise an `error` if a file of ours has no format, or another than this version of the pack reads.

    Args:
        name: of the file, for the message.
        written: the format that the file says it has.
        known: the format that this version reads.
        error: to raise.
    """
    if not written:
        raise error(f"{name} does not say its format, so it is damaged; choose or make another.")
    if written != known:
        shown = written if len(written) <= 20 else f"{written[:20]}..."
        raise error(
            f"{name} has format {shown}, and this version of ComfyUI-LeVo reads {known}; update it."
        )


def _safetensors_damage(path: Path, size: int) -> str | None:
    try:
        whole = read_header(path).size
    except HeaderCut as cut:
        return _cut(path, size, cut.whole)
    except NoHeader:
        return f"{display_name(path)} is not a safetensors file; download it again."
    except HeaderError:
        return f"{display_name(path)} has a broken header; download it again."
    if size > whole:
        return (
            f"{display_name(path)} has {size:,} bytes where its header says {whole:,}; download it again."
        )
    return _cut(path, size, whole)


def _index_damage(path: Path) -> str | None:
    try:
        shards.require_files(path)
        for file in shards.files_of(path):
            if damage := find_damage(file):
                return damage
        shards.require_tensors(path)
        return None
    except shards.ShardError as error:
        return f"{display_name(path)} {error}; download the folder again."
    except HeaderError as error:
        return f"{display_name(path)} names a file of another format ({error}); download it again."


def _gguf_damage(path: Path, size: int) -> str | None:
    try:
        return _cut(path, size, gguf_header.read_header(path).size)
    except HeaderCut as cut:
        return _cut(path, size, cut.whole)
    except NoHeader:
        return f"{display_name(path)} is not a GGUF file; download it again."
    except HeaderError as error:
        return f"{display_name(path)} has a broken header ({error}); download it again."


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
    problem = torch_zip.find_problem(path)
    return f"{display_name(path)} {problem}; download it again." if problem else None
