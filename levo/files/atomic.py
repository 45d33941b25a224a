"""Writing a file so that it is there whole or not at all, and what is said where a disk does not let us.

Whatever the pack writes goes through here. Until a file is complete it is a hidden partial one beside it,
locked by who writes it: what a killed run left behind has no lock, and is taken over or removed by the next
one that writes the same file. (So it is written into, not replaced, as safetensors' own `save_file` does.)
Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

from .claims import open_locked
from .names import NAME_BYTES

SUFFIX = ".part"
CODE = re.compile(r"os error (\d+)")  # of safetensors' errors
RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)
OCCUPIED = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY)


class WriteError(OSError, ValueError):
    """Why a file could not be written, and what to do, in one sentence; `strerror` is the reason alone."""

    def __init__(self, text: str, reason: str):
        super().__init__(text)
        self.strerror = reason


def unfinished(path: Path) -> Path:
    """What a download is called until it is complete: it stays after a stop, to be gone on with."""
    return path.with_name(f"{path.name}{SUFFIX}")


@contextmanager
def writing(path: Path, size: int = 0, place: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Give a path to write to, whose file takes the place of `path` at the end.

    If anything is raised in between, what was written goes away and `path` stays as it was.

    Args:
        path: of the new file; its folder is made, a file that is there is replaced.
        size: bytes that the file will have, where that is known: they must be free.
        place: gives the whole file another name than `path`, in the same folder.

    Raises:
        WriteError: the disk does not let us.
    """
    created = [folder for folder in path.parents if not os.path.lexists(folder)]
    try:
        with explaining_errors(path, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            require_space(path, size)
            remove_leftovers(path)
            with _partial(path, place or partial(os.replace, dst=path)) as unnamed:
                yield unnamed
    except BaseException:
        for folder in created:
            with suppress(OSError):  # somebody else put something there
                folder.rmdir()
        raise


@contextmanager
def explaining_errors(path: Path, size: int = 0) -> Iterator[None]:
    """Turn what the file system raises into a sentence; for writing that cannot go through `writing`.

    Args:
        path: what is written: a file, or the folder that it lies in.
        size: bytes that are needed, where that is known.

    Raises:
        WriteError: in place of the file system's error.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        code = error_number(error)
        if code is None or code == errno.ENOMEM:
            raise
        raise WriteError(sentence(path, code, size), os.strerror(code)) from error


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """A file to append to and to read, made if it is not there, that no other writer takes for a leftover.

    Raises:
        WriteError: another process is writing it.
    """
    file = open_locked(path, "a+b")
    if file is None:
        raise WriteError(f"{path} is being written by another program; wait until it is done.", "in use")
    with file:
        yield file


def require_space(path: Path, size: int) -> None:
    """Raise WriteError unless so many bytes are free where `path` belongs, in a folder that exists."""
    if size and _free(path) < size:
        raise WriteError(sentence(path, errno.ENOSPC, size), os.strerror(errno.ENOSPC))


def error_number(error: BaseException) -> int | None:
    """The system's number of an error, None where it has none."""
    if isinstance(error, OSError):
        return error.errno
    match = CODE.search(str(error))  # safetensors' own are texts
    return int(match[1]) if match else None


# Sentences -----------------------------------------------------------------------------------------------


def sentence(path: Path, code: int, size: int = 0) -> str:
    """Say that a file cannot be written, by the system's number of the error and what is needed."""
    return f"{path} cannot be written ({os.strerror(code)}){_advice(path, code, size)}."


def _advice(path: Path, code: int, size: int) -> str:
    needed = f"{_amount(size)} are needed and " if size else ""
    if code == errno.ENOSPC:
        return f": {needed}{_amount(_free(path))} are free; make room"
    if code == getattr(errno, "EDQUOT", None):
        return f"{f': {_amount(size)} are needed' if size else ''}; make room"
    if code == errno.EFBIG:
        return "; the disk takes no file of this size, so choose a folder on another one"
    if code == errno.ENAMETOOLONG:
        return "; choose a shorter name"
    if code in OCCUPIED:
        return "; choose another name"
    return "; check the permissions of the folder" if code in RIGHTS else "; check the disk"


def _free(path: Path) -> int:
    """Bytes that are free on the disk of the nearest folder that is there."""
    folder = next(folder for folder in (path, *path.parents) if folder.is_dir())
    return shutil.disk_usage(folder).free


def _amount(size: int) -> str:
    unit, name = next(((u, n) for u, n in ((1e9, "GB"), (1e6, "MB")) if size >= u), (1e3, "kB"))
    return f"{size / unit:.1f} {name}"


# Partial files -------------------------------------------------------------------------------------------


@contextmanager
def _partial(path: Path, place: Callable[[Path], object]) -> Iterator[Path]:
    """A locked partial file, which gets its name from `place` at the end or goes away."""
    hidden, file = _claimed(path)
    try:
        yield hidden
        _close_on_windows(file)
        place(hidden)
    except BaseException:
        _close_on_windows(file)
        with suppress(OSError):  # a folder that became read-only; what is to be told is told already
            hidden.unlink()
        raise
    finally:  # not before: without its lock others could take it for a leftover
        file.close()


def _close_on_windows(file: BinaryIO) -> None:
    """Let go of a file where the system neither replaces nor removes open ones."""
    if sys.platform == "win32":
        file.close()


def _claimed(path: Path) -> tuple[Path, BinaryIO]:
    """The first partial file that nobody else is writing, empty, and the handle that keeps it locked.

    What stands there as a link, a pipe or a folder is nobody's partial file: it may lead to another's file.
    """
    for number in itertools.count(1):
        hidden = _hidden(path, number)
        if os.path.lexists(hidden) and not _is_plain(hidden):
            continue
        if file := open_locked(hidden, "ab"):
            os.truncate(hidden, 0)
            return hidden, file
    raise AssertionError


def _is_plain(path: Path) -> bool:
    return os.path.isfile(path) and not path.is_symlink()


def _hidden(path: Path, number: int) -> Path:
    """Name of a partial file, as long as file systems allow: it need not hold the whole name."""
    tail = f".{number}{SUFFIX}" if number > 1 else SUFFIX
    name = path.name.encode(errors="surrogateescape")[: NAME_BYTES - len(tail) - 1]
    return path.with_name(f".{name.decode(errors='ignore')}{tail}")


def remove_leftovers(path: Path) -> None:
    """Remove partial files of `path` that nobody is writing, with names that this pack ever gave them."""
    names = [unfinished(path), path.with_name(f".{path.name}.partial")]
    for name in (lambda n: _hidden(path, n + 1), lambda n: _core_partial(path, n)):
        names += itertools.takewhile(os.path.lexists, map(name, itertools.count(1)))
    for leftover in names:
        if _is_plain(leftover):
            with suppress(OSError):  # not ours to remove, or in use on Windows
                _remove_unused(leftover)


def _core_partial(path: Path, number: int) -> Path:
    """What LeVo Save Song had ComfyUI write before the file got its name."""
    return path.with_name(f".{path.stem}.partial_{number:05}_{path.suffix}")


def _remove_unused(path: Path) -> None:
    if file := open_locked(path, "rb"):
        with file:
            _close_on_windows(file)
            path.unlink()
