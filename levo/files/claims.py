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

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PATIENCE = 60.0  # seconds: locks are held for as long as a small file is written
PAUSE = 0.01
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


@contextmanager
def claimed(paths: Iterable[Path]) -> Iterator[Path]:
    """Give the first path that nobody has, and hold it: an empty file, to be replaced by a whole one.

    If anything is raised in between, the empty file goes away.

    Args:
        paths: in a folder that exists, to be tried one after the other.
    """
    path = next(path for path in paths if claim(path))
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            if not path.stat().st_size:
                path.unlink()
        raise


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
    while (handle := _lock(path)) is None:
        if time.monotonic() > end:
            raise ClaimError(f"Another program has held {path} for {patience:g} s; end it, or wait.")
        time.sleep(PAUSE)
    try:
        yield
    finally:
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        os.close(handle)
        if sys.platform == "win32":  # which removes no open file, and none that others wait for
            with suppress(OSError):
                path.unlink()


def _lock(path: Path) -> int | None:
    """A handle that holds the lock until it is closed; None while another one does."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if sys.platform == "win32":  # it is being removed
            return None
        raise
    try:
        _lock_handle(handle)
        # Whoever had the lock may have removed the file between opening and locking.
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in BUSY:  # a file system without locks: names are still claimed one by one
            return handle
    os.close(handle)
    return None


def _lock_handle(handle: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
