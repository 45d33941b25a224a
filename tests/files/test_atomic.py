"""Writing: a file is there whole or not at all, and what a disk refuses is one sentence."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from support import pack
from support.sentences import assert_one_sentence
from support.small_disk import fill, small_disk

from levo import tiny
from levo.batch import results
from levo.files import atomic, style_library
from levo.files.atomic import WriteError, explaining_errors, unfinished, writing

NAME = "song.safetensors"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def write(path: Path, data: bytes = b"new", size: int = 0) -> None:
    with writing(path, size) as partial:
        partial.write_bytes(data)


def refusal(path: Path, data: bytes = b"new", size: int = 0) -> str:
    with pytest.raises(WriteError) as raised:
        write(path, data, size)
    assert_one_sentence(str(raised.value))
    assert str(raised.value).startswith(f"{path} cannot be written (")
    return str(raised.value)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path):
    (tmp_path / NAME).write_bytes(b"old")
    write(tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == b"new"
    assert names_in(tmp_path) == [NAME]


def test_the_folder_of_a_file_is_made_and_goes_again_if_nothing_comes(tmp_path: Path):
    write(tmp_path / "a" / "b" / NAME)
    assert (tmp_path / "a" / "b" / NAME).is_file()
    with pytest.raises(KeyError), writing(tmp_path / "a" / "c" / "d" / NAME):
        raise KeyError
    assert names_in(tmp_path / "a") == ["b", NAME]


@pytest.mark.parametrize("stop", [KeyError, KeyboardInterrupt, RuntimeError])
def test_what_stops_the_writing_comes_out_as_it_is_and_leaves_the_old_file(tmp_path: Path, stop: type):
    (tmp_path / NAME).write_bytes(b"old")
    with pytest.raises(stop), writing(tmp_path / NAME) as partial:
        partial.write_bytes(b"half")
        raise stop
    assert (tmp_path / NAME).read_bytes() == b"old"
    assert names_in(tmp_path) == [NAME]


def test_the_longest_name_of_a_disk_can_be_written(tmp_path: Path):
    for name in ("x" * 255, "雪" * 85, "é" * 127 + "x"):
        write(tmp_path / name)
    assert len(names_in(tmp_path)) == 3


def test_two_names_that_begin_alike_do_not_meet(tmp_path: Path):
    one, other = (tmp_path / ("x" * 254 + last) for last in "ab")
    with writing(one) as first, writing(other) as second:
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert (one.read_bytes(), other.read_bytes()) == (b"1", b"2")
    assert len(names_in(tmp_path)) == 2


# Disks that refuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 1, 4096, 100_000])
@pytest.mark.parametrize("known", [False, True])
def test_a_full_disk_is_told_with_what_is_needed_and_free(disk: Path, left: int, known: bool):
    (disk / NAME).write_bytes(b"old")
    fill(disk, left + 4096)
    sentence = refusal(disk / NAME, b"x" * 2_000_000, 2_000_000 if known else 0)
    assert "(No space left on device)" in sentence
    assert " are free; make room." in sentence
    assert ("2.0 MB are needed" in sentence) == known
    assert names_in(disk) == ["filler", NAME]
    assert (disk / NAME).read_bytes() == b"old"


def test_safetensors_own_errors_are_told_too(disk: Path):
    fill(disk, 50_000)
    sentence = r"No space left on device\): .* free; make room\.$"
    with pytest.raises(WriteError, match=sentence), writing(disk / NAME) as partial:
        save_file({"a": torch.zeros(100_000)}, partial)
    assert names_in(disk) == ["filler"]


def test_styles_and_results_on_a_full_disk(disk: Path):
    fill(disk, 0)
    with pytest.raises(WriteError, match="1.5 kB are needed and 0.0 kB are free"):
        style_library.save_style(disk / "styles" / NAME, tiny.style(), "a")
    with pytest.raises(WriteError, match=r"results\.jsonl cannot be written .No space"):
        results.write(disk, {"idx": "a"})
    assert names_in(disk) == ["filler"]


@pytest.mark.parametrize("at", [0, 1, 1000])
def test_a_file_larger_than_the_disk_takes(tmp_path: Path, at: int):
    import resource  # which Windows has not

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, limits[1]))
    try:
        sentence = refusal(tmp_path / NAME, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "(File too large); the disk takes no file of this size" in sentence
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, ": 5.0 GB are needed and "),
        (errno.EDQUOT, ": 5.0 GB are needed; make room."),
        (errno.EROFS, "; check the permissions of the folder."),
        (errno.EACCES, "; check the permissions of the folder."),
        (errno.EIO, "; check the disk."),
        (errno.ESTALE, "; check the disk."),
        (errno.EISDIR, "; choose another name."),
    ],
)
@pytest.mark.parametrize("of_safetensors", [False, True])
def test_every_error_of_a_disk_is_one_sentence(
    tmp_path: Path, code: int, advice: str, of_safetensors: bool
):
    ours = OSError(code, os.strerror(code))
    theirs = SafetensorError(f"Error while serializing: I/O error: {os.strerror(code)} (os error {code})")
    with pytest.raises(WriteError) as raised, explaining_errors(tmp_path / NAME, 5_000_000_000):
        raise theirs if of_safetensors else ours
    assert_one_sentence(str(raised.value))
    assert f"({os.strerror(code)}){advice}" in str(raised.value)


@pytest.mark.parametrize(
    "error", [SafetensorError("InvalidTensorView"), OSError("no number"), MemoryError()]
)
def test_what_is_no_fault_of_the_disk_stays_as_it_is(tmp_path: Path, error: Exception):
    with pytest.raises(type(error)) as raised, explaining_errors(tmp_path):
        raise error
    assert raised.value is error


def test_obstacles_in_the_way(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"old")
    assert "(File exists); choose another name." in refusal(tmp_path / "file" / NAME)
    assert "(Is a directory); choose another name." in refusal(tmp_path)
    assert "(File name too long); choose a shorter name." in refusal(tmp_path / ("x" * 300))
    assert names_in(tmp_path) == ["file"]


# What killed runs leave ----------------------------------------------------------------------------------

KILLED = """
import sys, time
from pathlib import Path
import support.pack
from levo.files.atomic import writing
with writing(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Another process in the middle of writing NAME."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / NAME)]
    environment = {**os.environ, "PYTHONPATH": str(pack.ROOT / "tests")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_the_partial_file_of_a_killed_run_goes_with_the_next_one(tmp_path: Path, writer: subprocess.Popen):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(names_in(tmp_path)) == 1
    write(tmp_path / NAME)
    assert names_in(tmp_path) == [NAME]


def test_the_partial_file_of_a_living_process_stays(tmp_path: Path, writer: subprocess.Popen):
    (theirs,) = tmp_path.iterdir()
    write(tmp_path / NAME)
    assert names_in(tmp_path) == sorted((theirs.name, NAME))
    assert theirs.read_bytes() == b"half"
    with writing(tmp_path / NAME) as ours:
        assert ours != theirs
    # The second of two writers is killed, too: both leftovers go.
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    (tmp_path / f".{NAME}.2.part").write_bytes(b"half")
    write(tmp_path / NAME)
    assert names_in(tmp_path) == [NAME]


@pytest.mark.parametrize(
    ("name", "leftovers"),
    [
        (NAME, [f"{NAME}.part", f".{NAME}.part", f".{NAME}.2.part", f".{NAME}.3.part"]),
        ("results.jsonl", [".results.jsonl.partial", "results.jsonl.part"]),
        ("song.flac", [".song.partial_00001_.flac", ".song.partial_00002_.flac"]),
        ("雪 (2).flac", [".雪 (2).partial_00001_.flac"]),
    ],
)
def test_leftovers_of_every_version_go(tmp_path: Path, name: str, leftovers: list[str]):
    others = [".other.partial_00001_.flac", "other.safetensors.part", f"x{name}.part"]
    for leftover in (*leftovers, *others):
        (tmp_path / leftover).write_bytes(b"half")
    write(tmp_path / name)
    assert names_in(tmp_path) == sorted((name, *others))


@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "pipe"])
def test_what_stands_in_the_place_of_a_partial_file_is_not_written_through(tmp_path: Path, kind: str):
    precious, planted = tmp_path / "precious", tmp_path / f".{NAME}.part"
    precious.write_bytes(b"precious")
    if kind == "folder":
        planted.mkdir()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("the system has no pipes with names")
        os.mkfifo(planted)
    else:
        planted.symlink_to(precious if kind == "link" else tmp_path / "nothing")
    write(tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == b"new"
    assert precious.read_bytes() == b"precious"
    assert {path.name for path in tmp_path.iterdir()} == {NAME, planted.name, "precious"}


def test_a_download_that_is_under_way_is_no_leftover(tmp_path: Path):
    part = unfinished(tmp_path / NAME)
    with atomic.locked(part):
        write(tmp_path / NAME)
        assert part.is_file()
    write(tmp_path / NAME)
    assert not part.exists()


def test_many_threads_that_write_one_file_leave_one_of_theirs_whole(tmp_path: Path):
    def run(number: int) -> None:
        for _ in range(100):
            write(tmp_path / NAME, bytes([number]) * 1000)

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, range(4)))
    data = (tmp_path / NAME).read_bytes()
    assert len(data) == 1000 and len(set(data)) == 1
    assert names_in(tmp_path) == [NAME]
