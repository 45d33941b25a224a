"""Names of files that come from what people type: made safe for every system, short enough, told apart.

Looks at texts alone; what is on a disk is looked at by `saving`.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator

from ..files.names import is_device

LENGTH = 100  # characters of a name without number and ending
# File systems take 255 bytes, and what is put around a name takes up to 33: " (99999)" with "." and
# ".partial_00001_.flac", as ComfyUI writes, or with "." and "_00001_.safetensors.part".
NAME_BYTES = 215
LONGEST = 1_000  # characters of a text that are looked at: normalising takes time
JOINERS = "\u200c\u200d"  # which letters of some scripts need between them
ENDS = f". {JOINERS}"  # which are invisible, or lost on Windows
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff<>:"|?*\\]')  # on Windows, or on every system
FIELD = re.compile(r"%([A-Za-z_][\w.]*(?::[^%/\\]*)?)%")
TIMES = {  # ComfyUI's own
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
}


def file_name(text: str) -> str:
    """A name for files that stays in its folder on every system; "" if nothing is left.

    Letters, digits and marks of every script stay, everything else becomes `_`.
    """
    text = unicodedata.normalize("NFC", text[:LONGEST])
    kept = _no_device("".join(c if _stays(c) else "_" for c in text).strip(ENDS))
    return cut(kept[:LENGTH], NAME_BYTES, kept[LENGTH : LENGTH + 1]).rstrip(ENDS)


def numbered(name: str) -> Iterator[str]:
    """A name, then the same with 2, 3 and so on behind it."""
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1


def free(name: str, is_taken: Callable[[str], bool]) -> str:
    """The first of the numbered names that is not taken."""
    return next(each for each in numbered(name) if not is_taken(each))


def key(name: str) -> str:
    """Equal for names that a file system may take for one: case, composition and joiners do not matter."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")


def cut(name: str, size: int, rest: str = "") -> str:
    """The beginning of a name that takes at most `size` bytes, marks with their letters.

    Args:
        name: without half characters.
        size: bytes in UTF-8.
        rest: what followed the name already.
    """
    kept = name.encode()[:size].decode(errors="ignore")
    rest = name[len(kept) :] + rest
    if rest and _clings(rest[0]):
        whole = kept.rstrip("".join(c for c in set(kept) if _clings(c)))[:-1]
        return whole or kept
    return kept


def safe_path(path: str) -> str:
    """A path with `/` whose parts every system takes as they are; "." and ".." stay."""
    return "/".join(map(_safe_part, path.replace(os.sep, "/").split("/")))


def dated(folder: str, now: time.struct_time) -> str:
    """A folder's name with ComfyUI's names of times, such as `%year%`, resolved.

    Raises:
        ValueError: it has another name between `%`; says the end of a sentence.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in TIMES:
            known = ", ".join(f"%{name}%" for name in TIMES)
            raise ValueError(f"{match[0]} stands for nothing here; use {known}")
        return time.strftime(TIMES[match[1]], now)

    return FIELD.sub(value, folder)


def _safe_part(part: str) -> str:
    if part in ("", ".", ".."):
        return part
    safe = _no_device(FORBIDDEN.sub("_", part).rstrip(". "))
    return cut(safe, NAME_BYTES).rstrip(". ") or "_"


def _no_device(name: str) -> str:
    return f"_{name}" if is_device(name) else name


def _stays(character: str) -> bool:
    return character.isalnum() or character in "_-. " or _clings(character)


def _clings(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character).startswith("M")
