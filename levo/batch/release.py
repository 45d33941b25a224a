"""A finished song on the disk as people hand it on: a name out of a pattern, the song, its stems in a zip.

Knows bytes of files, nothing of how sound gets into them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from ..files.atomic import writing
from ..files.claims import placed
from ..files.names import shown
from . import names

FIELDS = ("title", "artist", "seed", "take")
FIELD = re.compile(r"\{([^{}]*)\}")
ZIP = "stems.zip"
ZIP_BYTES = 2_000  # of a zip for each file, beside what is in it


class PatternError(ValueError):
    """Why a pattern gives no name, as the end of a sentence."""


def require_known(pattern: str) -> None:
    """Raises PatternError: a name in braces stands for nothing, whatever the song is."""
    for match in FIELD.finditer(pattern):
        if match[1] not in FIELDS:
            known = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise PatternError(f"in which {shown(match[0])} stands for nothing; use {known}")


def filled(pattern: str, song: Mapping[str, str]) -> str:
    """A pattern with what its names in braces stand for, which adds no folders.

    Args:
        pattern: such as "audio/{artist}/{title}".
        song: texts of FIELDS, or of those that are known.

    Raises:
        PatternError: one of them stands for nothing, or for nothing here.
    """
    require_known(pattern)

    def value(match: re.Match[str]) -> str:
        name = names.file_name(song.get(match[1], ""))
        if not name:
            raise PatternError(f"in which {match[0]} is empty; fill in the {match[1]}, or leave it out")
        return name

    return FIELD.sub(value, pattern)


def put(start: Path, paths: Iterable[Path], song: bytes, stems: Mapping[str, bytes]) -> list[Path]:
    """Write a song under the first of some paths that nobody has, and its stems in a zip beside it.

    Args:
        start: its name without a number, in the folder of `paths`.
        paths: as many as it may take.
        song: a sound file.
        stems: sound files by the names that they have in the zip; none make no zip.

    Returns:
        The song, and the zip if there is one; neither is there unless both could be written.

    Raises:
        WriteError: the disk is full or cannot be written.
    """
    written: list[Path] = []

    def place(file: Path) -> None:
        written.append(placed(file, paths))

    def place_zip(file: Path) -> None:
        archive = written[0].with_name(f"{written[0].stem.rstrip('_')}_{ZIP}")
        others = names.numbered(archive.stem)
        written.append(placed(file, (archive.with_name(f"{name}{ZIP[-4:]}") for name in others)))

    with ExitStack() as stack:
        if stems:
            size = sum(map(len, stems.values())) + ZIP_BYTES * len(stems)
            _zip(stack.enter_context(writing(start.with_suffix(".zip"), size, place_zip)), stems)
        stack.enter_context(writing(start, len(song), place)).write_bytes(song)
    return written


def _zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip of files that are small already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, file in files.items():
            archive.writestr(name, file)
