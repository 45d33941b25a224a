"""Finished songs on the disk: names out of patterns; a song and the zip of its stems, both or none."""

from __future__ import annotations

import zipfile
from itertools import count
from pathlib import Path

import pytest
from support.small_disk import fill, small_disk

from levo.batch import release
from levo.files.atomic import WriteError

SONG = {"title": "Night Drive", "artist": "Me", "seed": "7", "take": "2"}
STEMS = {"Night - vocals.flac": b"v" * 1000, "夜 - accompaniment.flac": b"a" * 2000}


def put(folder: Path, song: bytes = b"song", stems: dict[str, bytes] | None = None) -> list[Path]:
    paths = (folder / f"LeVo_{number:05}_.flac" for number in count(1))
    return release.put(folder / "LeVo.flac", paths, song, stems or {})


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("audio/LeVo", "audio/LeVo"),
        ("{artist}/{title} {seed}-{take}", "Me/Night Drive 7-2"),
        ("%year%/{title}", "%year%/Night Drive"),
        ("a}{b", "a}{b"),
    ],
)
def test_names_in_braces_become_what_they_stand_for(pattern: str, name: str):
    assert release.filled(pattern, SONG) == name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("AC/DC", "x/AC_DC"),
        ("../../etc", "x/_.._etc"),
        ("{seed}", "x/_seed_"),
        ("%year%", "x/_year_"),
        ("夜のドライブ", "x/夜のドライブ"),
        ("con", "x/_con"),
        ("a" * 300, "x/" + "a" * 100),
    ],
)
def test_a_title_is_one_name_whatever_is_in_it(title: str, name: str):
    assert release.filled("x/{title}", {"title": title}) == name


@pytest.mark.parametrize(
    ("pattern", "song", "said"),
    [
        ("{titel}", SONG, r"'\{titel\}' stands for nothing; use \{title\}, \{artist\}, \{seed\}, \{take\}"),
        ("{}", SONG, r"'\{\}' stands for nothing"),
        ("{title}", {}, r"\{title\} is empty; fill in the title, or leave it out"),
        ("{artist}", {"artist": " . "}, r"\{artist\} is empty"),
    ],
)
def test_a_pattern_that_gives_no_name_is_refused(pattern: str, song: dict[str, str], said: str):
    with pytest.raises(release.PatternError, match=f"^in which {said}"):
        release.filled(pattern, song)


def test_songs_and_zips_have_one_number_and_replace_nothing(tmp_path: Path):
    (tmp_path / "LeVo_00002_.flac").write_bytes(b"old")
    assert [path.name for path in put(tmp_path)] == ["LeVo_00001_.flac"]
    made = put(tmp_path, b"new", STEMS)
    assert [path.name for path in made] == ["LeVo_00003_.flac", "LeVo_00003_stems.zip"]
    assert made[0].read_bytes() == b"new"
    with zipfile.ZipFile(made[1]) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == STEMS
    assert (tmp_path / "LeVo_00002_.flac").read_bytes() == b"old"
    assert len(listing(tmp_path)) == 4


def test_a_zip_of_the_same_name_stays(tmp_path: Path):
    (tmp_path / "LeVo_00001_stems.zip").write_bytes(b"old")
    assert put(tmp_path, stems=STEMS)[1].name == "LeVo_00001_stems (2).zip"
    assert (tmp_path / "LeVo_00001_stems.zip").read_bytes() == b"old"


@pytest.mark.parametrize(("song", "stem"), [(9_000_000, 1000), (1000, 9_000_000), (3_000_000, 3_000_000)])
def test_a_full_disk_leaves_neither_song_nor_zip(tmp_path: Path, song: int, stem: int):
    with small_disk(tmp_path / "disk") as disk:
        fill(disk, left=4_000_000)
        with pytest.raises(WriteError, match=r"are needed and .+ are free; make room\.$"):
            put(disk, bytes(song), {"vocals.flac": bytes(stem)})
        assert listing(disk) == ["filler"]


def test_a_folder_that_is_a_file_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(WriteError, match="choose another name"):
        put(tmp_path / "taken", stems=STEMS)
    assert listing(tmp_path) == ["taken"]
