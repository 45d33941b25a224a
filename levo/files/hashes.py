"""Recorded hashes of weight files: where one is recorded, and whether a file still has it.

A file of our own carries its hash (see `converted`); for released files LeVo Download Models keeps a record
beside them (see `hub`), and some hashes are published (see `catalogue`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from . import catalogue, converted, hub
from .checkpoint import ConvertedFile, open_checkpoint
from .damage import display_name
from .tensor_file import CheckpointError, sha256_of


@dataclass(frozen=True)
class Recorded:
    """A hash that a file should have."""

    sha256: str
    place: str  # where it is recorded, for people
    in_file: bool = False  # in the file itself


def verify(path: Path, roots: Iterable[Path], on_step: Callable[[int, int], None]) -> str:
    """Compare a weight file with its recorded hash.

    Args:
        path: of the file.
        roots: folders that models are looked for in; LeVo Download Models keeps its record in one.
        on_step: told (done, total) bytes; what it raises stops.

    Returns:
        What was found, in a sentence: the file is equal, or no hash is recorded.

    Raises:
        CheckpointError: it is not the file whose hash is recorded, it is damaged, or the record is.
    """
    known = recorded(path, roots)
    if known is None:
        return f"Not checked: no hash is recorded for {display_name(path)}."
    recorded_inside = known.sha256 if known.in_file else None
    actual = (
        converted.sha256_of(path, recorded_inside, on_step) if recorded_inside else sha256_of(path, on_step)
    )
    if actual != known.sha256:
        raise CheckpointError(
            f"{display_name(path)} is not as recorded (its sha256 is {actual}, and {known.place} says "
            f"{known.sha256}); download or make it again, or turn verify off."
        )
    return f"{display_name(path)} was checked against {known.place}: equal."


def recorded(path: Path, roots: Iterable[Path]) -> Recorded | None:
    """The hash that a file should have; None if nobody recorded one.

    Raises:
        CheckpointError: the file is damaged, or the record of downloads is.
    """
    file = open_checkpoint(path)
    if isinstance(file, ConvertedFile):
        sha256 = converted.recorded_sha256(file.inventory)
        return Recorded(sha256, "the hash it was saved with", in_file=True) if sha256 else None
    return _downloaded(path, roots) or _published(path)


def _downloaded(path: Path, roots: Iterable[Path]) -> Recorded | None:
    for root in roots:
        if path.is_relative_to(root):
            try:
                entry = hub.read_record(root).get(path.relative_to(root).as_posix(), {})
            except hub.DownloadError as error:
                raise CheckpointError(str(error)) from error
            if hub.SHA256.fullmatch(str(entry.get("sha256"))):
                return Recorded(entry["sha256"], hub.RECORD)
    return None


def _published(path: Path) -> Recorded | None:
    """The published hash of a file of this name: at the place it has in its repository, or of that size."""
    size = path.stat().st_size
    for file in catalogue.FILES:
        place = file.local_path.parts
        if (
            file.sha256
            and path.name == place[-1]
            and (path.parts[-len(place) :] == place or size == file.size)
        ):
            return Recorded(file.sha256, f"the published hash of {file.repository}")
    return None
