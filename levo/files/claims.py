"""Who may write what, where several programs write into one folder: names are claimed, and files locked.

Knows nothing of what is written. A lock is the operating system's own, so it ends with whoever holds it.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PATIENCE = 60.0  # seconds: locks are held for as long as a small file is written
PAUSE = 0.01
FAR = 1 << 40  # a byte behind all content: on Windows a locked one cannot be written
BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # what systems say of a file that another has locked


class ClaimError(ValueError):
    """Why a file cannot be had, in one sentence."""


def claim(path: Path) -> bool:
    """Make an empty file, unless there is anything of this name: then somebody else has it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError:  # FileExistsError; for folders Windows says something else
        if os.path.lexists(path):
            return False
        raise
    return True


def placed(file: Path, paths: Iterable[Path]) -> Path:
    """Give a whole file the first name that nobody has; gives the name.

    Args:
        file: on the same disk.
        paths: in a folder that exists, to be tried one after the other.
    """
    path = next(path for path in paths if claim(path))
    try:
        os.replace(file, path)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return path


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a lock file, which goes away with it.

    Args:
        path: of the lock file, in a folder that exists.
        patience: seconds to wait for another program.

    Raises:
        ClaimError: another program holds it all that time.
    """
    end = time.monotonic() + patience
    while (file := _open_lock(path)) is None:
        if time.monotonic() > end:
            raise ClaimError(f"Another program has held {path} for {patience:g} s; end it, or wait.")
        time.sleep(PAUSE)
    try:
        yield
    finally:
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        file.close()
        if sys.platform == "win32":  # which removes no open file, and none that others wait for
            with suppress(OSError):
                path.unlink()


def open_locked(path: Path, mode: str) -> BinaryIO | None:
    """Open a file in a binary mode, locked until it is closed; None where another one has it locked."""
    while True:
        file: BinaryIO = path.open(mode)  # type: ignore[assignment]
        if not _lock(file):
            file.close()
            return None
        with suppress(FileNotFoundError):  # whoever had it removed it between opening and locking
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _open_lock(path: Path) -> BinaryIO | None:
    try:
        return open_locked(path, "ab")
    except PermissionError:
        if sys.platform == "win32":  # it is being removed
            return None
        raise


def abandoned(path: Path) -> bool:
    """Whether whoever held a lock file is gone; False, too, where that cannot be told."""
    try:
        with path.open("r+b") as file:
            return _lock_error(file) is None
    except OSError:
        return False


def _lock(file: BinaryIO) -> bool:
    error = _lock_error(file)  # some network disks have no locks: names are still claimed one by one
    return error is None or error.errno not in BUSY


def _lock_error(file: BinaryIO) -> OSError | None:
    """Lock a file, or say why it cannot be."""
    try:
        if sys.platform == "win32":
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error
    return None
