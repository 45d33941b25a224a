"""Which weight files lie in folders and which part each is, asked again and again and answered from memory.

Whatever lies there, a list comes of it: links that lead in circles, folders without rights and files that
hold anything are passed over or shown as damaged. Knows nothing of ComfyUI's names for folders.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import shards
from .mlx_file import MLX_CONFIG, OFFICIAL
from .parts import Part, recognise
from .release_config import VAE_CONFIG
from .tensor_file import ENDINGS, SAFETENSORS

EXCLUDED = {".git"}  # as ComfyUI's own lists
LINKED = 4  # times that one folder is gone through, by links from elsewhere
CONFIGS = (*OFFICIAL, VAE_CONFIG, MLX_CONFIG)  # files that say what a weight file is

State = tuple[tuple[str, int, int], ...]
Identity = tuple[int, int]  # device and number of a folder


@dataclass(frozen=True)
class FoundFile:
    """A weight file in a folder."""

    name: str  # path below that folder, with slashes
    path: Path
    part: Part | None  # None if it is no part, or nothing tells which


class Listing:
    """Parts of files, each recognised once as long as it stays as it is."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple, Part | None]] = {}  # by path

    def files(self, folders: Iterable[Path]) -> list[FoundFile]:
        """Weight files below folders, by name; a name of an earlier folder hides those of later ones."""
        by_name: dict[str, FoundFile] = {}
        for folder in folders:
            config_states: dict[str, tuple] = {}  # states by folder
            for name, entry in walk(folder, ENDINGS, links=True):
                if name in by_name:
                    continue
                place = os.path.dirname(entry.path)
                if place not in config_states:
                    config_states[place] = _config_states(place)
                part = self._part(entry.path, (_state(entry.path), *config_states[place]))
                by_name[name] = FoundFile(name, Path(entry.path), part)
        return [by_name[name] for name in sorted(by_name)]

    def _part(self, path: str, state: tuple) -> Part | None:
        known = self._known.get(path)
        if known is None or known[0] != state:
            known = self._known[path] = (state, recognise(Path(path)))
        return known[1]


def _config_states(place: str) -> tuple:
    """States of the files in a folder that say what its weight files are, and of what indexes may name."""
    states_of_configs = tuple(_state(os.path.join(place, file)) for file in CONFIGS)
    entries = _entries(place)
    if not any(entry.name.endswith(shards.INDEX) for entry in entries):
        return states_of_configs
    parts = (entry for entry in entries if entry.name.endswith((shards.INDEX, SAFETENSORS)))
    return (*states_of_configs, *((entry.name, _state(entry.path)) for entry in parts))


def walk(folder: Path, suffixes: Iterable[str], links: bool) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files with certain endings below a folder, regular or not, with their paths below it.

    Args:
        folder: may be missing, or not ours to read.
        suffixes: of the files.
        links: whether folders are gone through that are linked in; those that lead back never are.
    """
    endings, times = tuple(suffixes), Counter[Identity]()
    places: list[_Place] = [_Place(str(folder), "", frozenset(), linked=False)]
    while places:
        place = places.pop()
        here = _identity(place.path)
        if here is None or here in place.around or (place.linked and times[here] == LINKED):
            continue
        times[here] += place.linked
        for entry in _entries(place.path):
            name = f"{place.name}{entry.name}"
            if not _is_folder(entry):
                if entry.name.endswith(endings):
                    yield name, entry
            elif entry.name not in EXCLUDED and (links or not entry.is_symlink()):
                linked = place.linked or entry.is_symlink()
                places.append(_Place(entry.path, f"{name}/", place.around | {here}, linked))


@dataclass(frozen=True)
class _Place:
    """A folder to go through."""

    path: str
    name: str  # how names of what is in it begin
    around: frozenset[Identity]  # the folders that it lies in, by this path
    linked: bool  # whether a link leads to it


def states(path: Path) -> State:
    """Path, age and size of a weight file, of those that it names, and of configs that may lie there."""
    files = (path, *shards.named_by(path), *(path.parent / name for name in CONFIGS))
    known = [(str(file), _state(str(file))) for file in files]
    return tuple((file, state[0], state[1]) for file, state in known if state)


def _state(path: str) -> tuple[int, ...]:
    """Age, size, and what else changes when a file or the rights to it do; empty if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns, status.st_mode


def _entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError):  # gone, not ours to read, or too deep
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(place: str) -> Identity | None:
    """What two paths of one folder have in common; None if there is no folder."""
    try:
        status = os.stat(place)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
