"""Several programs in one folder: locks that end with their holder, names that one of them gets."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import pack

from levo.files import atomic, claims
from levo.files.claims import ClaimError, claim, locked, placed


def test_a_lock_ends_with_the_program_that_holds_it(tmp_path: Path):
    program = "import sys, time\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
    program += "from levo.files.claims import locked\n"
    program += "with locked(Path(sys.argv[2])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    command = [sys.executable, "-c", program, str(pack.ROOT), str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        refused = pytest.raises(ClaimError, match=r"Another program has held .*lock for 0\.1 s")
        with refused, locked(tmp_path / "lock", patience=0.1):
            pass
        holder.kill()
    with locked(tmp_path / "lock", patience=5):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_left_behind_blocks_nobody(tmp_path: Path):
    (tmp_path / "lock").write_text("left behind")
    with locked(tmp_path / "lock", patience=1):
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_threads_take_turns(tmp_path: Path):
    count = tmp_path / "count"
    count.write_text("0")

    def add(_: int) -> None:
        with locked(tmp_path / "lock"):
            count.write_text(str(int(count.read_text()) + 1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(200)))
    assert count.read_text() == "200"


def test_a_file_gets_the_first_name_that_nobody_has(tmp_path: Path):
    (tmp_path / "1").touch()
    (tmp_path / "2").mkdir()
    (tmp_path / "new").write_text("new")
    assert placed(tmp_path / "new", (tmp_path / str(number) for number in range(1, 9))) == tmp_path / "3"
    assert (tmp_path / "3").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]


def test_a_name_is_given_back_when_nothing_comes_of_it(tmp_path: Path):
    (tmp_path / "1").touch()
    with pytest.raises(FileNotFoundError):
        placed(tmp_path / "gone", (tmp_path / str(number) for number in range(1, 9)))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_locks_of_windows_are_held_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    held: set[int] = set()

    def locking(handle: int, mode: int, size: int) -> None:
        inode = os.fstat(handle).st_ino
        if inode in held:
            raise PermissionError(errno.EACCES, "Permission denied")
        held.add(inode)

    windows = SimpleNamespace(LK_NBLCK=2, locking=locking)
    monkeypatch.setattr(claims, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(claims, "msvcrt", windows, raising=False)
    with locked(tmp_path / "lock"):
        refused = pytest.raises(ClaimError, match="Another program has held")
        with refused, locked(tmp_path / "lock", patience=0.05):
            pass
    held.clear()  # as closing does
    with locked(tmp_path / "lock", patience=0.05):
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from levo.files import atomic
from levo.files.claims import placed
folder, name = Path(sys.argv[2]), sys.argv[3]
while not (folder / "go").exists():
    pass
for number in range(100):
    names = (folder / f"song_{n:05}_" for n in itertools.count(1))
    with atomic.writing(folder / "song", place=lambda new: placed(new, names)) as new:
        new.write_text(f"{name} {number}")
"""


def test_two_programs_never_get_one_name(tmp_path: Path):
    command = [sys.executable, "-c", PROGRAM, str(pack.ROOT), str(tmp_path)]
    running = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in "ab"]
    (tmp_path / "go").touch()
    errors = [program.communicate(timeout=120)[1] for program in running]
    assert errors == ["", ""]
    (tmp_path / "go").unlink()
    written = sorted(path.read_text() for path in tmp_path.iterdir())
    assert written == sorted(f"{name} {number}" for name in "ab" for number in range(100))


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from levo.files import atomic
with atomic.writing(Path(sys.argv[2]) / "song", place=print) as new:
    new.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_what_a_killed_program_left_has_no_name_and_goes_with_the_next_number(tmp_path: Path):
    for number in (1, 2, 3):
        subprocess.run([sys.executable, "-c", KILLED, str(pack.ROOT), str(tmp_path)])
        assert sum(path.name.startswith(".") for path in tmp_path.iterdir()) == 1
        names = (tmp_path / f"song_{n}" for n in itertools.count(1))
        with atomic.writing(tmp_path / "song", place=lambda new, names=names: placed(new, names)) as new:
            new.write_text("whole")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
            f"song_{n}": "whole" for n in range(1, number + 1)
        }


@pytest.mark.parametrize("there", ["file", "folder", "link to nothing"])
def test_what_is_there_in_any_form_is_taken(tmp_path: Path, there: str):
    path = tmp_path / "name"
    if there == "folder":
        path.mkdir()
    elif there == "file":
        path.touch()
    else:
        path.symlink_to("nothing")
    assert not claim(path)
    assert claim(tmp_path / "other")
