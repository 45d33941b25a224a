"""The command from its line to its exit status, with the tiny models."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pack
from support.listed_songs import lines
from support.written_songs import write_song_list

from levo.batch import results
from levo.command import backend
from levo.command import main as command

MODELS = ["--lelm", "tiny", "--renderer", "tiny", "--vae", "tiny"]
TINY = [*MODELS, "--max-seconds", "0.2", "--steps", "1", "--render-guidance", "1", "--threads", "1"]


def test_a_list_becomes_songs_and_what_is_said_is_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    songs, out = write_song_list(tmp_path, "one"), tmp_path / "out"
    assert command.main([str(songs), str(out), *TINY]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "built-in models are small" in said.err
    assert "1/1 'one': 0:00 cut" in said.err
    assert "Made 1 of 1 songs in" in said.err
    assert lines(out)[0]["settings"]["render"]["steps"] == 1
    assert command.main([str(songs), str(out), "--kind=bgm", *MODELS]) == 0
    assert capsys.readouterr().err.endswith("made anew by --again, or in another folder.\n")
    assert command.main([str(songs), str(out), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_what_is_wrong_is_one_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main([str(tmp_path / "gone.jsonl"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("levo: The list ")
    long = [str(write_song_list(tmp_path, "one")), str(tmp_path / "out"), "--max-seconds=600"]
    assert command.main(long) == 2
    assert "levo: --max-seconds 600 cannot be met" in capsys.readouterr().err
    file = tmp_path / "file"
    file.touch()
    assert command.main(["example", str(file)]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """As in a terminal: what is started in the background, as by a CI, ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding_ctrl_c")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_ends_it_cleanly(
    tmp_path: Path,
    number: int,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def make(*_: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(backend.SongMaker, "make", make)
    before = signal.getsignal(signal.SIGTERM)
    assert command.main([str(write_song_list(tmp_path, "one")), str(tmp_path / "out"), *TINY]) == status
    assert capsys.readouterr().err.endswith("Stopped; the same command goes on where it was.\n")
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def start(*line: str, out: int | None = None) -> subprocess.Popen:
    return subprocess.Popen(line, cwd=pack.ROOT, stdout=out, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_while_torch_is_imported_says_nothing():
    program = """
import sys
class Import:
    def find_spec(self, name, *_):
        if name == "torch":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Import())
from levo.__main__ import main
sys.exit(main())
"""
    running = start(sys.executable, "-c", program)
    assert (running.communicate()[1], running.returncode) == ("", 130)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["table", "json"])
def test_a_reader_that_has_enough_ends_the_report_quietly(tmp_path: Path, more: list[str]):
    for number in range(3):
        results.write(tmp_path, {"idx": f"{number}", "error": "It failed.", "line": number})
    reading, writing = os.pipe()
    running = start(sys.executable, "-m", "levo", "report", str(tmp_path), *more, out=writing)
    os.close(writing)
    os.close(reading)
    assert (running.communicate()[1], running.returncode) == ("", 141)


def test_what_a_song_dies_of_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def make(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(backend.SongMaker, "make", make)
    assert command.main([str(write_song_list(tmp_path, "one")), str(tmp_path / "out"), *TINY]) == 1
    assert lines(tmp_path / "out")[0]["error"].startswith("RAM ran out; use fewer --takes")


def test_what_keeps_models_from_being_loaded_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def load(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(backend, "Models", load)
    assert command.main([str(write_song_list(tmp_path, "one")), str(tmp_path / "out"), *TINY]) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("levo: The models cannot be loaded: RAM ran out")
    )
