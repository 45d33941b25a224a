"""Styles without their sound: the published prompt libraries, and the user's own style files.

A published library is a pickle of {style: [codes, ...]} or {style: {"zh": [codes, ...], "en": [...]}}, with
codes [1, 3, frames]: mixed, vocal, accompaniment.

A style file is a safetensors file, format 1: metadata `levo.part` "style", `levo.format` "1", `levo.name`,
for people; one tensor `codes` [3, 250] int16, as above, 16385 where a track has none.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from ..config import CODES, EMPTY, PROMPT_FRAMES
from ..kinds import Kind
from . import atomic, pickles
from .damage import display_name, printable, raise_if_damaged, raise_if_newer
from .plain_data import shown
from .tensor_file import CheckpointError, inventory, read

PUBLISHED = "new_prompt.pt"  # the one that is still published, see catalogue.PROMPT_LIBRARY
RELEASED_NAMES = (PUBLISHED, "new_auto_prompt.pt")
FORMAT = "1"
AUTO = "Auto"
CHINESE, ENGLISH, ANY = "zh", "en", ""
TRACKS = 3
CHINESE_FROM = 0.2  # of all characters
WHOLE = {torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64}
WHOLE |= {torch.uint64}  # whose large numbers become negative ones
MAX_ENTRIES = 100_000  # of all styles together; the largest published library has 2,500
MAX_NAME = 200  # characters of a style's name
NAMED = 50  # styles in a message
IDEOGRAPHS = range(0x4E00, 0xA000)

Entries = dict[str, list[Tensor]]  # language, or ANY -> codes [1, 3, frames]


class StyleFileError(ValueError):
    """A file does not hold the style that it should; the message is for the user."""


@dataclass(frozen=True)
class StyleEntry:
    """One entry of a library, or a style of a file of its own."""

    codes: Tensor  # [1, 3, 250] int64
    name: str  # for people


def language_of(lyrics: str) -> str:
    """CHINESE if a fifth of all characters or more are Chinese ones, else ENGLISH, as published."""
    chinese = sum(ord(character) in IDEOGRAPHS for character in lyrics)
    return CHINESE if lyrics and chinese / len(lyrics) >= CHINESE_FROM else ENGLISH


# Published libraries -------------------------------------------------------------------------------------


def is_library(path: Path) -> bool:
    """Whether a pickle holds a library by the looks of it; its codes are not read."""
    try:
        return _entries_of(pickles.load(path, "meta")) is not None
    except Exception:  # whatever is wrong with it, it is no library
        return False


def read_library(path: Path, device: str = "cpu") -> dict[str, Entries]:
    """Styles of a published library and their entries, AUTO first.

    AUTO is the library's own list of that name, from which the published code draws; a library that has
    none draws from all styles.

    Args:
        path: of the file.
        device: "cpu", or "meta" for the names alone.

    Raises:
        StyleFileError: the file is damaged or holds something else.
    """
    raise_if_damaged(path, StyleFileError)
    try:
        library = _entries_of(pickles.load(path, device))
    except Exception as error:
        raise StyleFileError(f"{display_name(path)} cannot be read; download it again.") from error
    if library is None:
        raise StyleFileError(f"{display_name(path)} is not a prompt library; choose {PUBLISHED}.")
    everything: Entries = {}
    for entries in library.values():
        for language, codes in entries.items():
            everything.setdefault(language, []).extend(codes)
    return {AUTO: library.get(AUTO, everything), **library}


def pick(library: Mapping[str, Entries], style: str, language: str, seed: int) -> StyleEntry:
    """Draw one entry of a style.

    Args:
        library: of `read_library`.
        style: one of its keys.
        language: CHINESE, ENGLISH or ANY; a library without languages has one list for all.
        seed: decides which entry; the same seed gives the same one.

    Raises:
        StyleFileError: there is no such style, none in this language, or the entry is no prompt.
    """
    entries = library.get(style)
    if entries is None:
        more = f" and {len(library) - NAMED:,} more" if len(library) > NAMED else ""
        choices = f"{', '.join(list(library)[:NAMED])}{more}"
        raise StyleFileError(f"There is no style {shown(style)}; choose one of {choices}.")
    languages = list(entries) if language == ANY or ANY in entries else [language]
    entries_of = [(name, codes) for name in languages for codes in entries.get(name, [])]
    if not entries_of:
        others = ", ".join(name for name, codes in entries.items() if codes) or "none"
        raise StyleFileError(
            f"The style {shown(style)} has nothing in {language or 'any language'}; it has entries in "
            f"{others}."
        )
    number = random.Random(seed).randrange(len(entries_of))
    language, codes = entries_of[number]
    place = f"{style} {number + 1} of {len(entries_of)}{f', {language}' if language else ''}"
    return StyleEntry(_prompt(codes, f"Entry {place}"), place)


def _entries_of(content: Any) -> dict[str, Entries] | None:
    """A library out of what a pickle holds; None if it is none."""
    if not isinstance(content, dict) or not content:
        return None
    library, count = {}, 0
    for style, entries in content.items():
        entries = entries if isinstance(entries, dict) else {ANY: entries}
        if not isinstance(style, str) or len(style) > MAX_NAME or printable(style) != style:
            return None
        if not all(map(_are_lists, entries, entries.values())):
            return None
        count += sum(map(len, entries.values()))
        if count > MAX_ENTRIES or not all(map(_are_entries, entries.values())):
            return None
        library[style] = {language: list(codes) for language, codes in entries.items()}
    has_some = any(codes for entries in library.values() for codes in entries.values())
    return library if has_some else None


def _are_lists(language: Any, entries: Any) -> bool:
    return isinstance(language, str) and isinstance(entries, (list, tuple))


def _are_entries(entries: Any) -> bool:
    return all(isinstance(e, Tensor) and e.ndim == 3 and e.shape[:2] == (1, TRACKS) for e in entries)


def _prompt(codes: Tensor, what: str) -> Tensor:
    """Codes [1, 3, frames] as a prompt of 10 s: what is longer is cut."""
    frames = codes.shape[2]
    if frames < PROMPT_FRAMES:
        raise StyleFileError(
            f"{what} has {frames} frames, and a style needs {PROMPT_FRAMES}; choose another seed or style."
        )
    plain = codes.layout is torch.strided and codes.dtype in WHOLE
    codes = codes[..., :PROMPT_FRAMES].to(torch.int64) if plain else codes
    if not plain or not _in_range(codes):
        raise StyleFileError(f"{what} holds numbers that are no codes; choose another file.")
    return codes


def _in_range(codes: Tensor) -> bool:
    return bool((((codes >= 0) & (codes < CODES)) | (codes == EMPTY)).all())


# Style files ---------------------------------------------------------------------------------------------


def save_style(path: Path, codes: Tensor, name: str) -> None:
    """Write a style; the file appears only when it is complete, its folder is made.

    Args:
        path: of the new file.
        codes: [1, 3, 250].
        name: for people.

    Raises:
        WriteError: the disk is full or cannot be written.
    """
    printable = name.encode(errors="replace").decode()  # half a character cannot be written
    metadata = {"levo.part": Kind.STYLE.value, "levo.format": FORMAT, "levo.name": printable}
    kept = codes[0].to(torch.int16).contiguous()
    with atomic.writing(path, kept.nbytes) as unfinished:
        unfinished.write_bytes(save_tensors({"codes": kept}, metadata))


def load_style(path: Path) -> StyleEntry:
    """Read a style file.

    Raises:
        StyleFileError: damaged, foreign, from a newer version, or with codes that no style has.
    """
    try:
        metadata, codes = inventory(path).metadata, read(path).get("codes")
    except CheckpointError as error:
        raise StyleFileError(str(error)) from error
    if metadata.get("levo.part") != Kind.STYLE:
        raise StyleFileError(
            f"{display_name(path)} holds no style; choose a file that LeVo Save Style wrote."
        )
    raise_if_newer(display_name(path), metadata.get("levo.format"), FORMAT, StyleFileError)
    if codes is None or codes.dtype != torch.int16 or codes.shape != (TRACKS, PROMPT_FRAMES):
        raise StyleFileError(
            f"{display_name(path)} is damaged (it has no codes of 10 s); save the style again."
        )
    return StyleEntry(_prompt(codes[None], display_name(path)), metadata.get("levo.name") or path.stem)
