"""The report on a folder of songs: what is measured, what is counted, and what of it is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from levo.batch import results
from levo.command import main as command
from levo.command.sound_files import encoded

RATE = 48_000
LYRICS = "[intro-short] ; [verse] " + "A line that is sung in some seconds. " * 4 + "; [chorus] Once more."


def put(folder: Path, idx: str, sound: Tensor, ended: bool = True, **settings: object) -> None:
    (folder / f"{idx}.flac").write_bytes(encoded(sound, "flac", {"title": idx}))
    record = {"idx": idx, "file": f"{idx}.flac", "ended_by_itself": ended, "settings": settings}
    results.write(folder, record)


def tone(seconds: float, level: float = 0.25) -> Tensor:
    return level * torch.sin(torch.arange(int(seconds * RATE)) * 0.1).repeat(2, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path, "whole", tone(30), lyrics=LYRICS, max_seconds=40.0)
    put(tmp_path, "short", tone(2), lyrics=LYRICS)
    put(tmp_path, "cut", torch.cat((tone(1), torch.zeros(2, RATE)), dim=1), ended=False, lyrics=".")
    put(tmp_path, "loud", tone(1, level=1.5), lyrics=LYRICS)
    results.write(tmp_path, {"idx": "gone", "file": "gone.flac"})
    results.write(tmp_path, {"idx": "failed", "error": "It failed.", "line": 6})
    return tmp_path


def test_each_song_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main(["report", "--json", str(folder)]) == 1  # two songs are not there
    rows = {row["idx"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    whole, short, cut, loud = (rows[idx] for idx in ("whole", "short", "cut", "loud"))
    assert whole["asked_sections"] == ["intro-short", "verse", "chorus"]
    assert (whole["seconds"], whole["limit"], whole["sections"], whole["early"]) == (30, 40, 3, False)
    assert whole["loudness"] == pytest.approx(-12.04, abs=1.5)
    assert whole["peak"] == pytest.approx(-12.04, abs=1)  # it begins abruptly
    assert (short["early"], short["limit"]) == (True, None)
    assert (cut["ended"], cut["silence"], cut["asked_seconds"]) == (False, 1.0, None)
    assert loud["clipped"] > 1_000 > whole["clipped"] == 0
    assert rows["gone"]["error"] == "its file is gone; make the song again"
    assert rows["failed"]["error"] == "It failed."


def test_the_table_counts(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main(["report", str(folder)]) == 1
    text = capsys.readouterr().out
    assert "4 of 6 songs are there, 0:35 in all" in text
    assert "3 ended by themselves, 2 of them early" in text
    assert "1 were cut at the limit" in text
    assert "1 have clipped samples, 1 are silent" in text
    (line,) = [line for line in text.splitlines() if line.startswith("short ")]
    assert line.split()[1:3] == ["0:02", "early"]


def test_takes_are_told_by_their_files_and_errors_in_plain_letters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for file in ("one.flac", "one (2).flac"):
        (tmp_path / file).write_bytes(encoded(tone(1), "flac", {"title": "one"}))
        results.write(tmp_path, {"idx": "one", "file": file})
    results.write(tmp_path, {"idx": "two", "error": "It \x1b[2J failed.", "line": 2})
    assert command.main(["report", str(tmp_path)]) == 1
    first, second, third = capsys.readouterr().out.splitlines()[1:4]
    assert (first.split("  ")[0], second.split("  ")[0]) == ("one.flac", "one (2).flac")
    assert third.endswith("It �[2J failed.")


def test_songs_of_comfyui_have_no_lyrics_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    results.put(tmp_path, {})
    put(tmp_path, "one", tone(1), **{"7": {"class_type": "LeVoCompose"}})
    assert command.main(["report", str(tmp_path)]) == 0
    assert "1 of 1 songs are there" in capsys.readouterr().out


def test_a_folder_without_results_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main(["report", str(tmp_path)]) == 2
    assert "There is no results.jsonl in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sound", "rate", "reason"),
    [
        (torch.full((4_800, 2), torch.nan), RATE, "has samples that are no numbers"),
        (torch.zeros(40, 2), 5, "has a sample rate that is 5"),
        (torch.zeros(0, 2), RATE, "is empty"),
        (torch.zeros(4_800, 6), RATE, "has 6 channels"),
    ],
    ids=["NaN", "5 Hz", "empty", "6 channels"],
)
def test_a_file_that_cannot_be_measured_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sound: Tensor, rate: int, reason: str
):
    soundfile.write(tmp_path / "odd.wav", sound.numpy(), rate, subtype="FLOAT")
    results.write(tmp_path, {"idx": "odd", "file": "odd.wav"})
    put(tmp_path, "well", tone(1))
    assert command.main(["report", "--json", str(tmp_path)]) == 1
    rows = {row["idx"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert reason in rows["odd"]["error"]
    assert rows["well"]["error"] == ""
