"""Names of files as people type them: which ones no disk can hold, and which leave their folder.

Looks at the text alone; what a disk says of a name that passes is told by `atomic`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

NAME_BYTES = 255  # of one name, as file systems allow
TEXT_BYTES = 1_000  # of all of it
FOLDERS = 32
SHOWN = 60  # characters of a name in a sentence
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SEPARATORS = re.compile(r"[/\\]" if os.name == "nt" else "/")
FORBIDDEN = re.compile(r'[<>:"|?*]|[ .]$')  # on Windows
DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE
)  # of Windows


def fault(name: str, suffix: str = "") -> str | None:
    """What is wrong with a name that may hold folders, as the end of a sentence; None if nothing is.

    Args:
        name: as it was typed.
        suffix: that the file's name gets beside it, with all that is added while it is written.
    """
    if CONTROL.search(name):
        return "which has a character that no file name can have; type it anew"
    try:
        whole = len(name.encode())
    except UnicodeEncodeError:
        return "which has half a character; type it anew"
    parts = [part for part in SEPARATORS.split(name) if part]
    *folders, last = parts or [""]
    longest = max(len(part.encode()) for part in (*folders, last + suffix))
    if longest > NAME_BYTES or whole + len(suffix) > TEXT_BYTES:
        return (
            f"which is too long: a name takes {NAME_BYTES} bytes, with its ending, a path {TEXT_BYTES}, "
            f"and this one has {max(longest, whole)}; choose a shorter one"
        )
    if len(folders) > FOLDERS:
        return f"which lies {len(folders)} folders deep; use at most {FOLDERS}"
    named = [part for part in parts if part not in (".", "..")]
    if os.name == "nt" and any(FORBIDDEN.search(part) or is_device(part) for part in named):
        return "which Windows cannot have; choose another"
    return None


def is_device(name: str) -> bool:
    """Whether Windows takes the name of a file for a device, whatever its ending."""
    return DEVICE.match(name) is not None


def shown(name: str) -> str:
    """A name as a sentence quotes it: escaped where nothing could print it, and not without end."""
    return repr(name if len(name) <= SHOWN else f"{name[:SHOWN]}…")


def file_below(who: str, name: str, folder: Path, suffix: str) -> Path:
    """The file of a name below a folder, with links resolved; it need not be there.

    Args:
        who: asks, for messages.
        name: as it was typed; a/b is b in the folder a, `suffix` may be typed or not.
        folder: that the file may not leave.
        suffix: of the file.

    Raises:
        ValueError: no name, one that leaves the folder, or one that no disk can hold.
    """
    bare = name.strip().removesuffix(suffix)
    if wrong := fault(bare, suffix):
        raise ValueError(f"{who} cannot use the name {shown(name)}, {wrong}.")
    try:
        folder = folder.resolve()
        path = (folder / f"{bare}{suffix}").resolve()
    except (OSError, RuntimeError) as error:  # links in a circle, or a disk that does not answer
        raise ValueError(f"{who} cannot use the name {shown(name)}; give another one.") from error
    if not path.name.removesuffix(suffix).strip(".") or folder not in path.parents:
        raise ValueError(f"{who} cannot use the name {shown(name)}; give one that stays in {folder}.")
    return path
