"""Songs of lists on the disk: none is written over by another, in one run, over runs, by two programs."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import pack
from support.listed_songs import assert_all_are_kept, lines, make, save, song

from levo.audio.encode import FORMATS
from levo.batch import results, saving
from levo.batch.saving import folder_of, plan, prepare, takes_of
from levo.batch.song_list import Song, SongListError
from levo.files import claims
from levo.files.claims import claim

NOW = time.struct_time((2026, 3, 4, 5, 6, 7, 0, 0, 0))

ALIKE = {
    "one idx, other lyrics": [song("1", "a"), song("1", "b"), song("1", "c")],
    "case": [song("ONE"), song("one"), song("One")],
    "what a name cannot hold": [song("a/b"), song("a:b"), song("a?b"), song("a_b")],
    "composition": [song("é"), song("e\u0301"), song("E\u0301")],
    "long names": [song("夜" * 150), song("夜" * 150 + "!"), song("夜" * 300)],
    "numbers": [song("a", "1"), song("a (2)"), song("a", "2"), song("a", "3")],
}


@pytest.mark.parametrize("songs", ALIKE.values(), ids=ALIKE.keys())
@pytest.mark.parametrize("together", [True, False], ids=["in one run", "over runs"])
def test_songs_with_names_alike_have_files_of_their_own(tmp_path: Path, songs: list[Song], together: bool):
    for group in [songs] if together else [[each] for each in songs]:
        make(tmp_path, *group)
    assert_all_are_kept(tmp_path, *songs)


def test_two_lists_in_turn_keep_each_others_songs(tmp_path: Path):
    first, second = ([song(str(n), f"{name} {n}") for n in (1, 2)] for name in ("a", "b"))
    assert make(tmp_path, *first) == ["1.flac", "2.flac"]
    assert results.missing(second, tmp_path) == second
    assert make(tmp_path, *second) == ["1 (2).flac", "2 (2).flac"]
    assert_all_are_kept(tmp_path, *first, *second)
    assert make(tmp_path, *first) == ["1.flac", "2.flac"]  # made anew, each in its own place
    assert_all_are_kept(tmp_path, *first, *second)


@pytest.mark.parametrize("name", ["one.flac", "ONE.FLAC", "One.flac"])
@pytest.mark.parametrize("kind", ["file", "empty file", "folder"])
def test_what_lies_there_and_is_not_ours_stays(tmp_path: Path, name: str, kind: str):
    other = tmp_path / name
    if kind == "folder":
        other.mkdir()
    else:
        other.write_text("mine" if kind == "file" else "")
    before = other.stat()
    assert make(tmp_path, song("one")) == ["one (2).flac"]
    assert (other.stat().st_mtime_ns, other.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_a_file_that_is_gone_or_empty_is_made_in_its_place(tmp_path: Path):
    one = song("one")
    make(tmp_path, one)
    (tmp_path / "one.flac").unlink()
    assert make(tmp_path, one) == ["one.flac"]
    (tmp_path / "one.flac").write_bytes(b"")
    assert make(tmp_path, one) == ["one.flac"]
    assert_all_are_kept(tmp_path, one)


def test_a_name_that_somebody_took_while_the_song_was_made_stays_theirs(tmp_path: Path):
    (mine,) = plan([song("one", "mine")], tmp_path)
    make(tmp_path, song("ONE", "theirs"))
    assert save(mine, "[verse] mine.") == "one (2).flac"
    assert_all_are_kept(tmp_path, song("one", "mine"), song("ONE", "theirs"))


def test_one_song_that_two_programs_make_is_kept_twice(tmp_path: Path):
    one = song("one")
    make(tmp_path, one)
    (tmp_path / "one.flac").unlink()
    (mine,), (theirs,) = plan([one], tmp_path), plan([one], tmp_path)
    assert save(theirs, "theirs", saved="later") == "one.flac"
    assert save(mine, "mine") == "one (2).flac"
    assert [(tmp_path / record["file"]).read_text() for record in lines(tmp_path)] == ["theirs", "mine"]


def test_takes_are_files_of_their_own(tmp_path: Path):
    for text in ("first", "second"):
        planned = plan([song("one"), song("two")], tmp_path)
        assert [save(each, text, take) for each in planned for take in (0, 1)] == [
            *("one.flac", "one (2).flac", "two.flac", "two (2).flac"),
        ]
    assert [record["file"] for record in lines(tmp_path)] == [
        *("one.flac", "one (2).flac", "two.flac", "two (2).flac"),
    ]


def test_a_song_in_another_format_is_a_file_of_its_own_which_is_made_in_its_place(tmp_path: Path):
    one = song("one")
    make(tmp_path, one)
    for text in ("first", "second"):
        (planned,) = plan([one], tmp_path)
        as_mp3 = replace(planned, suffix=".mp3")
        assert [save(as_mp3, text, take) for take in (0, 1)] == ["one.mp3", "one (2).mp3"]
    assert [record["file"] for record in lines(tmp_path)] == ["one.flac", "one.mp3", "one (2).mp3"]
    assert (tmp_path / "one.flac").read_text() == one.lyrics
    assert results.missing([one], tmp_path) == []


def test_files_of_every_format_are_known_to_the_results():
    assert {form.suffix for form in FORMATS.values()} == set(results.SUFFIXES)


@pytest.mark.parametrize(
    ("songs", "takes", "sounds", "whose"),
    [
        (1, [1], 1, [(0, 0)]),
        (3, [1, 1, 1], 3, [(0, 0), (1, 0), (2, 0)]),
        (1, [3], 3, [(0, 0), (0, 1), (0, 2)]),
        (2, [2, 1], 3, [(0, 0), (0, 1), (1, 0)]),
        (2, [2], 4, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (2, [2, 2], 2, [(0, 0), (1, 0)]),
    ],
)
def test_it_is_known_whose_a_sound_is(songs: int, takes: list[int], sounds: int, whose: list):
    assert takes_of(songs, takes, sounds) == whose


@pytest.mark.parametrize(("songs", "takes", "sounds"), [(2, [2, 2], 3), (1, [1], 2), (3, [1], 1)])
def test_sounds_of_other_songs_are_refused(songs: int, takes: list[int], sounds: int):
    with pytest.raises(ValueError, match=f"There are {sounds} sounds for {songs} songs with"):
        takes_of(songs, takes, sounds)


# The folder ----------------------------------------------------------------------------------------------


def test_a_folder_is_named_by_the_day_it_is_made(tmp_path: Path):
    assert folder_of("%year%/batch %month%-%day%", tmp_path, NOW) == tmp_path / "2026" / "batch 03-04"


@pytest.mark.parametrize(
    "asked",
    [
        "..",
        "",
        ".",
        "%year%/..",
        "a/../..",
        "/etc",
        "x\0",
        "\ud83d",
        "a\nb",
        "a/" * 1500,
        "x" * 300,
        "名" * 90,
    ],
)
def test_a_folder_stays_below_the_output_folder(tmp_path: Path, asked: str):
    with pytest.raises(SongListError, match="cannot use the folder"):
        folder_of(asked, tmp_path, NOW)


def test_a_good_folder_is_made_and_left_as_it_was(tmp_path: Path):
    prepare(tmp_path / "a" / "b", [song("夜" * 300), song("a" * 300)])
    prepare(tmp_path / "a" / "b", [song("夜" * 300)])
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_the_longest_name_is_tried_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tried: list[Path] = []
    monkeypatch.setattr(saving, "claim", lambda path: tried.append(path) or claim(path))
    prepare(tmp_path, [song("a"), song("夜" * 300), song("b" * 100)])
    (probe,) = tried
    assert probe.name.endswith(".partial_00001_.flac")
    assert 240 < len(probe.name.encode()) <= 255


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for folder in (
        tmp_path / "file",
        tmp_path / "file" / "below",
        tmp_path / "loop",
        tmp_path / ("x" * 300),
        tmp_path / ("deep/" * 2_000),
    ):
        assert results.missing([song("a")], folder) == [song("a")]
        with pytest.raises(
            SongListError, match=r"^Songs cannot be saved in .* \(.+\); make room"
        ) as refusal:
            prepare(folder, [song("a")])
        assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 600


@pytest.mark.parametrize("reason", [PermissionError(13, "Permission denied"), OSError(28, "No space left")])
def test_a_disk_that_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: OSError
):
    def refuse(path: Path, data: bytes) -> None:
        raise reason

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(SongListError, match=reason.strerror):
        prepare(tmp_path, [song("a")])
    assert list(tmp_path.iterdir()) == []


def test_partial_files_of_killed_runs_go_and_those_of_others_stay(tmp_path: Path):
    old = [tmp_path / name for name in (".one.partial_00001_.flac", ".0a1b.partial_00002_.flac")]
    other = [tmp_path / name for name in ("one.partial_00001_.flac", ".partial.flac", ".mine.flac")]
    young = tmp_path / ".two.partial_00001_.flac"
    for path in (*old, *other, young):
        path.write_bytes(b"sound")
        if path != young:
            os.utime(path, (0, 0))
    prepare(tmp_path, [song("a")])
    assert set(tmp_path.iterdir()) == {*other, young}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from levo.batch.saving import partial
with partial(Path(sys.argv[2])) as name:
    for number in range(int(sys.argv[3])):
        (Path(sys.argv[2]) / f"{name}_{number:05}_.flac").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize("files", [0, 1, 2])
def test_what_a_killed_run_left_goes_at_once_and_what_is_being_written_stays(tmp_path: Path, files: int):
    subprocess.run([sys.executable, "-c", KILLED, str(pack.ROOT), str(tmp_path), str(files)])
    assert len(list(tmp_path.iterdir())) == files + 1
    with saving.partial(tmp_path) as name:
        mine = tmp_path / f"{name}_00001_.flac"
        mine.write_bytes(b"sound")
        prepare(tmp_path, [song("a")])
        assert set(tmp_path.iterdir()) == {mine, tmp_path / f"{name}.lock"}
    assert list(tmp_path.iterdir()) == []


def test_where_a_disk_has_no_locks_nothing_is_taken_for_left_behind(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(claims, "_lock_error", lambda file: OSError(errno.ENOLCK, "No locks available"))
    with saving.partial(tmp_path) as name:
        mine = tmp_path / f"{name}_00001_.flac"
        mine.write_bytes(b"sound")
        prepare(tmp_path, [song("a")])
        assert mine.exists()
    assert list(tmp_path.iterdir()) == []


# Two programs --------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[1] + "/tests")
from support.listed_songs import make, song
folder, name = Path(sys.argv[2]), sys.argv[3]
while not (folder / "go").exists():
    pass
for number in range(40):
    make(folder, song(f"{number % 4}", f"{name} {number}"))
"""


def both(program: str, *arguments: str) -> list[subprocess.Popen]:
    command = [sys.executable, "-c", program, *arguments]
    return [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("left", "right")
    ]


def test_two_programs_lose_no_song_of_each_other(tmp_path: Path):
    running = both(PROGRAM, str(pack.ROOT), str(tmp_path))
    (tmp_path / "go").touch()
    errors = [program.communicate(timeout=120)[1] for program in running]
    assert errors == ["", ""]
    (tmp_path / "go").unlink()
    songs = [song(f"{n % 4}", f"{name} {n}") for name in ("left", "right") for n in range(40)]
    assert_all_are_kept(tmp_path, *songs)
