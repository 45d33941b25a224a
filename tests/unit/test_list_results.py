"""What became of songs: results of older versions, damaged ones, songs that could not be made."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from support.listed_songs import assert_all_are_kept, lines, make, save, song

from levo.batch import attempts, results, saving
from levo.batch.attempts import Attempts
from levo.batch.saving import plan, prepare
from levo.batch.song_list import IDX, Fault, SongListError
from levo.files.claims import ClaimError

# Results -------------------------------------------------------------------------------------------------


def test_results_of_older_versions_count_on(tmp_path: Path):
    one, two, gone = song("one"), song("a/b"), song("gone")
    for each, file in ((one, "one.flac"), (two, "a_b.flac")):
        (tmp_path / file).write_bytes(b"sound")
        results.write(tmp_path, {IDX: each.idx, "file": file, "asked_sha256": each.request_hash})
    results.write(tmp_path, {IDX: "gone", "file": "gone.flac", "asked_sha256": gone.request_hash})
    assert results.missing([one, two, gone], tmp_path) == [gone]
    assert make(tmp_path, song("a:b")) == ["a_b (2).flac"]
    assert (tmp_path / "a_b.flac").read_bytes() == b"sound"


def test_a_file_that_two_old_results_name_is_the_later_songs(tmp_path: Path):
    first, second = song("a/b"), song("a:b")
    (tmp_path / "a_b.flac").write_bytes(b"sound")
    records = [
        {IDX: each.idx, "file": "a_b.flac", "asked_sha256": each.request_hash, "saved": saved}
        for each, saved in ((second, "2026-02-02"), (first, "2026-01-01"))
    ]
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
    assert results.missing([first, second], tmp_path) == [first]


@pytest.mark.parametrize("file", ["../one.flac", "/etc/passwd", "sub/one.flac", "..\\one.flac", ".."])
def test_a_result_names_no_file_elsewhere(tmp_path: Path, file: str):
    one, folder = song("one"), tmp_path / "batch"
    folder.mkdir()
    (tmp_path / "one.flac").write_bytes(b"sound")
    record = {IDX: "one", "file": file, "asked_sha256": one.request_hash}
    (folder / "results.jsonl").write_text(json.dumps(record), "utf-8")
    assert results.missing([one], folder) == [one]
    assert make(folder, one) == ["one.flac"]
    assert (tmp_path / "one.flac").read_bytes() == b"sound"


@pytest.mark.parametrize("file", ["a\0.flac", "\ud83d.flac", "x" * 300 + ".flac", "\x1b.flac"])
def test_a_result_names_no_file_that_cannot_be(tmp_path: Path, file: str):
    one = song("one")
    record = {IDX: "one", "file": file, "asked_sha256": one.request_hash, "saved": "2026-01-01"}
    (tmp_path / "results.jsonl").write_text(json.dumps(record), "utf-8")
    assert results.missing([one], tmp_path) == [one]
    assert make(tmp_path, one) == ["one.flac"]
    assert results.missing([one], tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_results_that_are_a_pipe_are_one_sentence(tmp_path: Path):
    os.mkfifo(tmp_path / "results.jsonl")
    with pytest.raises(
        SongListError, match=r"results\.jsonl is a pipe or a device, not a file; move it away\."
    ):
        prepare(tmp_path, [song("one")])
    assert "is a pipe" in results.state(tmp_path, failures=True)


DAMAGED = [
    "{",
    "[]",
    "3",
    "[" * 100_000,
    '{"idx": ["a"]}',
    '{"idx": 3, "file": 4}',
    '{"idx": "a", "file": 3}',
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_results_are_known_before_and_lose_no_song(tmp_path: Path, text: str):
    (planned,) = plan([song("one")], tmp_path)
    (tmp_path / "results.jsonl").write_text(text, "utf-8")
    with pytest.raises(SongListError, match="is damaged; mend it, or move it away"):
        prepare(tmp_path, [song("one")])
    with pytest.raises(SongListError, match=r"^one\.flac is saved, but not recorded: .* is damaged"):
        save(planned, "sound")
    assert (tmp_path / "one.flac").read_text("utf-8") == "sound"
    assert (tmp_path / "results.jsonl").read_text("utf-8") == text


def test_results_that_are_a_folder_are_one_sentence(tmp_path: Path):
    (tmp_path / "results.jsonl").mkdir()
    with pytest.raises(SongListError, match=r"results\.jsonl cannot be read \(.+\); move it away\."):
        prepare(tmp_path, [song("one")])


@pytest.mark.parametrize("reason", [OSError(28, "No space left"), ClaimError("It is held.")])
def test_a_song_is_saved_whatever_hinders_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception
):
    (planned,) = plan([song("one")], tmp_path)

    def refuse(*_: object) -> None:
        raise reason

    if isinstance(reason, ClaimError):
        monkeypatch.setattr(saving, "locked", refuse)
    else:
        monkeypatch.setattr(results, "put", refuse)
    with pytest.raises(SongListError, match=r"^one\.flac is saved, but not recorded: .*(No space|held)"):
        save(planned, "sound")
    assert (tmp_path / "one.flac").read_text("utf-8") == "sound"


def endless() -> list:
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "settings", [{"text": "\ud83d"}, {"what": object()}, {"deep": endless()}, {1: {2: set()}}]
)
def test_settings_that_cannot_be_told_leave_a_song_recorded(tmp_path: Path, settings: dict):
    one = song("one")
    (planned,) = plan([one], tmp_path)
    save(planned, one.lyrics, settings=settings)
    assert_all_are_kept(tmp_path, one)
    if "text" in settings:
        assert lines(tmp_path)[0]["settings"] == settings
    make(tmp_path, song("two"))
    assert_all_are_kept(tmp_path, one, song("two"))


def test_the_state_of_results_is_what_decides_the_next_song(tmp_path: Path):
    one, two = song("one"), song("two")
    plain, strict = [results.state(tmp_path, False)], [results.state(tmp_path, True)]

    def look() -> None:
        plain.append(results.state(tmp_path, False))
        strict.append(results.state(tmp_path, True))

    make(tmp_path, one)
    look()
    results.note(tmp_path, [Fault(2, "No such clip.", "two", clip=True)])  # told anew by every list
    look()
    results.note(tmp_path, [Fault(2, "It failed.", "two", two.request_hash)])
    look()
    make(tmp_path, two)
    look()
    (tmp_path / "results.jsonl").write_text("{")
    look()
    assert [a == b for a, b in pairwise(plain)] == [False, True, True, False, False]
    assert [a == b for a, b in pairwise(strict)] == [False, True, False, False, False]


# Songs that could not be made ----------------------------------------------------------------------------


def test_a_song_that_fails_alone_is_recorded_and_passed_over_when_asked(tmp_path: Path):
    songs = [song("a", line=1), song("b", line=2), song("c", line=4)]
    runs = Attempts()
    make(tmp_path, songs[0])
    runs.begin("run", tmp_path, [songs[1]])
    runs.end("run", "LeVoCompose could not make it: no frames.")
    assert runs.open() == []
    assert attempts.unfinished(songs, tmp_path, pass_over=False) == (songs[1:], [])
    failure = Fault(2, "LeVoCompose could not make it: no frames.", "b", songs[1].request_hash)
    assert attempts.unfinished(songs, tmp_path, pass_over=True) == ([songs[2]], [failure])
    record = lines(tmp_path)[1]
    assert (record[IDX], record["line"], record["error"]) == ("b", 2, failure.reason)
    changed = song("b", "other words", line=2)
    assert attempts.unfinished([changed], tmp_path, pass_over=True) == ([changed], [])
    make(tmp_path, songs[1])
    assert ["error" in one for one in lines(tmp_path)] == [False, False]


@pytest.mark.parametrize("failure", [None, "It failed."])
def test_of_several_songs_none_is_blamed_and_each_is_tried_alone(tmp_path: Path, failure: str | None):
    songs = [song(name) for name in "abcde"]
    runs = Attempts()
    runs.begin("run", tmp_path, songs[1:3])
    runs.end("run", failure)
    assert not (tmp_path / "results.jsonl").exists()
    if failure is None:
        assert runs.some(songs, tmp_path, 0) == songs
    else:
        assert runs.some(songs, tmp_path, 0) == songs[:1]
        assert runs.some(songs[1:], tmp_path, 0) == [songs[1]]
        assert runs.some(songs[2:], tmp_path, 3) == [songs[2]]
        assert runs.some(songs[3:], tmp_path, 0) == songs[3:]
    assert runs.some(songs[3:], tmp_path, 1) == [songs[3]]
    assert runs.some([], tmp_path, 1) == []


def test_a_failure_never_takes_the_place_of_a_song(tmp_path: Path):
    one = song("one")
    make(tmp_path, one)
    results.note(tmp_path, [Fault(1, "It failed.", "one", one.request_hash), Fault(2, "No idx.")])
    assert results.missing([one], tmp_path) == []
    assert [record.get("file") for record in lines(tmp_path)] == ["one.flac", None]
    state = (tmp_path / "results.jsonl").stat().st_mtime_ns
    results.note(tmp_path, [Fault(1, "It failed.", "one", one.request_hash)])
    assert (tmp_path / "results.jsonl").stat().st_mtime_ns == state  # nothing new
