"""Songs on a Ray cluster of this machine: the bytes of one process, whoever is killed on the way.

The clusters are bounded, on loopback alone, and end with who started them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from support import pack
from support.descendants import below, kill, name_of
from support.listed_songs import lines
from support.mortal_worker import MortalWorker
from support.written_songs import run_with, write_song_list

from levo.command import cluster
from levo.command.arguments import Cluster
from levo.command.cluster import RayBackend
from levo.command.job import SongOptions
from levo.command.main import STOPPED
from levo.command.run import REFUSED, SOME_FAILED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds and ends processes by Linux's /proc")
ray = pytest.importorskip("ray")

NAMES = tuple(f"song {number}" for number in range(12))
MODELS = ("--lelm=tiny", "--renderer=tiny", "--vae=tiny")
SMALL = (*MODELS, "--max-seconds=0.2", "--steps=1", "--render-guidance=1", "--threads=1")
OVER_RAY = (*SMALL, "--ray", "--workers=2")
LOOPBACK = "0000000000000000FFFF00000100007F"  # 127.0.0.1, as an address of version 6
PATIENCE = 600  # seconds, on a machine that is busy with other things


def start(songs: Path, out: Path, *more: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "levo", str(songs), str(out), *more]
    env = os.environ | environment
    return subprocess.Popen(command, cwd=pack.ROOT, env=env, stderr=subprocess.PIPE, text=True)


def finish(running: subprocess.Popen) -> tuple[int, str]:
    _, said = running.communicate(timeout=PATIENCE)
    return running.returncode, said


def wait_until(condition: Callable[[], bool], running: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)


def made(out: Path) -> int:
    return len(lines(out)) if (out / "results.jsonl").exists() else 0


def sounds(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix == ".flac"}


def workers(running: subprocess.Popen) -> list[int]:
    return [pid for pid in below(running.pid) if name_of(pid).startswith("ray::Worker")]


def listening(running: subprocess.Popen) -> set[str]:
    """Addresses, as /proc has them, that the processes of a run listen on for TCP."""
    sockets = set()
    for pid in below(running.pid):
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(str(descriptor.readlink()))
            except OSError:
                continue
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_song_list(tmp_path_factory.mktemp("list"), *NAMES)


@pytest.fixture(scope="module")
def expected(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that one process makes."""
    out = tmp_path_factory.mktemp("alone")
    status, said = finish(start(songs, out, *SMALL))
    assert status == 0, said
    return sounds(out)


def test_killed_workers_and_drivers_cost_time_alone(
    songs: Path, expected: dict[str, bytes], tmp_path: Path
):
    first = start(songs, tmp_path, *OVER_RAY)
    try:
        wait_until(lambda: made(tmp_path) >= 2, first)
        assert {LOOPBACK[-8:]} < listening(first) <= {LOOPBACK[-8:], LOOPBACK}
        status, said = finish(start(songs, tmp_path, *SMALL))
        assert (status, said.count("\n")) == (REFUSED, 2), said
        assert "Another levo makes songs in" in said
        killed, before = workers(first)[0], made(tmp_path)
        kill(killed)
        wait_until(lambda: made(tmp_path) >= before + 3, first)
    finally:
        ours = below(first.pid)
        kill(first.pid)
        first.communicate()
    before = made(tmp_path)
    assert 5 <= before < len(NAMES)
    status, said = finish(start(songs, tmp_path, *OVER_RAY))
    assert status == 0, said
    assert f"Made {len(NAMES) - before} of {len(NAMES) - before} songs" in said
    assert sounds(tmp_path) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*expected, "results.jsonl"])
    assert [line for line in lines(tmp_path) if "error" in line] == []
    end = time.monotonic() + PATIENCE
    while any("ray" in name_of(pid) for pid in ours):  # the cluster of the killed driver ends by itself
        assert time.monotonic() < end, [name_of(pid) for pid in ours]
        time.sleep(0.1)


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster whose workers die of songs."""
    monkeypatch.setenv("PYTHONPATH", f"{pack.ROOT}:{pack.ROOT / 'tests'}")
    monkeypatch.setattr(cluster, "Worker", MortalWorker)
    yield
    ray.shutdown()


@pytest.mark.parametrize("batch", [1, 2])
def test_a_song_that_fails_twice_is_a_line_and_the_others_are_made(
    tmp_path: Path, mortal: None, batch: int
):
    songs = write_song_list(tmp_path, "one", "deadly", "two", "odd", "refused", "three")
    out = tmp_path / "out"

    def backend(engine: object, options: object) -> RayBackend:
        return RayBackend(Cluster(None, 2, 0), engine, options)

    assert run_with(backend, songs, out, SongOptions(batch=batch)) == SOME_FAILED
    assert sorted(sounds(out)) == ["one.flac", "three.flac", "two.flac"]
    errors = {line["idx"]: line["error"] for line in lines(out) if "error" in line}
    assert errors["deadly"].startswith("The worker that made it died, twice (")
    assert errors["odd"] == "RuntimeError: Something is odd."
    assert errors["refused"] == "It is refused."


def test_a_stop_while_workers_start_ends_all(songs: Path, tmp_path: Path):
    running = start(songs, tmp_path / "out", *OVER_RAY)
    wait_until(lambda: len(workers(running)) == 2, running)
    ours = below(running.pid)
    running.terminate()
    status, said = finish(running)
    assert status == STOPPED + signal.SIGTERM, said
    assert "Stopped; the same command goes on where it was." in said
    end = time.monotonic() + PATIENCE
    while any("ray" in name_of(pid) for pid in ours):
        assert time.monotonic() < end, [name_of(pid) for pid in ours]
        time.sleep(0.1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a card")
def test_a_card_that_is_asked_for_is_not_replaced(songs: Path, tmp_path: Path):
    status, said = finish(start(songs, tmp_path / "out", *SMALL, "--ray", "--workers=1", "--device=cuda"))
    assert status == REFUSED, said
    told = "levo: A worker could not load its models: The device 'cuda' cannot be used ("
    assert said.splitlines()[-1].startswith(told)
    assert "Traceback" not in said


def test_a_cluster_that_does_not_answer_is_told_of(songs: Path, tmp_path: Path):
    status, said = finish(start(songs, tmp_path / "out", *OVER_RAY, "--ray-address=127.0.0.1:1"))
    assert status == REFUSED, said
    told = "levo: The Ray cluster 127.0.0.1:1 cannot be used (Connection refused); start it by ray start"
    assert said.splitlines()[-1].startswith(told)


def test_a_cluster_that_wants_a_token_is_told_of(songs: Path, tmp_path: Path):
    environment = {"RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"--ray-address=127.0.0.1:{server.getsockname()[1]}"
        status, said = finish(start(songs, tmp_path / "out", *OVER_RAY, address, **environment))
    assert status == REFUSED, said
    assert said.splitlines()[-1].startswith("levo: The Ray cluster cannot be used (Token authentication is")
    assert "Traceback" not in said
