"""Lists of songs: every line is checked, all that is wrong is said at once, and results are kept whole."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from levo.batch import results, song_list
from levo.batch.song_list import SongListError, read

STYLES = ["Auto", "Pop", "Hip-Hop"]
LYRICS = "[verse] Hello there ; [chorus] La la la"


def lines(*songs: dict | str) -> bytes:
    texts = [song if isinstance(song, str) else json.dumps(song) for song in songs]
    return "\n".join(texts).encode()


def song(idx: str = "a", **fields: object) -> dict:
    return {"idx": idx, "gt_lyric": LYRICS, **fields}


def test_a_list_gives_its_songs_in_order(tmp_path: Path):
    (tmp_path / "clips").mkdir()
    clip = tmp_path / "clips" / "ten seconds.wav"
    clip.touch()
    found = read(
        lines(
            song("one", descriptions="Female, Pop.", prompt_audio_path="clips/ten seconds.wav"),
            "",
            song("two", auto_prompt_audio_type="hip-hop", descriptions=None),
            {"idx": 3, "gt_lyric": LYRICS},
        ),
        tmp_path,
        STYLES,
    )
    assert (found.faults, found.oddities) == ((), ())
    one, two, three = found.songs
    assert (one.idx, one.line, one.description, one.audio, one.style) == (
        *("one", 1, "female, pop.", clip.resolve(), ""),
    )
    assert (two.idx, two.line, two.description, two.audio, two.style) == ("two", 3, "", None, "Hip-Hop")
    assert (three.idx, three.name) == ("3", "3")
    assert one.lyrics == "[verse] Hello there. ; [chorus] La la la."


def test_the_example_is_a_good_list(tmp_path: Path):
    found = read(song_list.EXAMPLE.encode(), tmp_path)
    assert [song.name for song in found.songs] == ["paper_boats", "iron_road"]
    assert (found.faults, found.oddities) == ((), ())


def test_marks_and_line_ends_of_editors_are_no_faults(tmp_path: Path):
    data = b"\xef\xbb\xbf" + lines(song("a"), song("b")).replace(b"\n", b"\r\n") + b"\r\n\r\n"
    assert [song.idx for song in read(data, tmp_path).songs] == ["a", "b"]


def test_a_line_separator_within_lyrics_does_not_break_the_line(tmp_path: Path):
    text = json.dumps(song(gt_lyric="[verse] Hello\u2028there"), ensure_ascii=False)
    assert len(read(text.encode(), tmp_path).songs) == 1


FAULTS = {
    "no JSON": ('{"idx": "a"', "no JSON (expecting ',' delimiter at character 12)"),
    "5,000 digits": (f'{{"idx": {"9" * 5_000}}}', "no JSON (it holds a number of thousands of digits)"),
    "no object": ("[1, 2]", "no JSON object"),
    "too deep": ("[" * 100_000, "nested too deeply"),
    "no idx": ({"gt_lyric": LYRICS}, "idx is missing"),
    "empty idx": (song(" "), "idx is empty"),
    "idx without a name": (song("..."), "idx '...' gives no file name"),
    "idx of a wrong kind": (song(idx=True), "idx is no text"),
    "no lyrics": ({"idx": "a"}, "gt_lyric is missing"),
    "empty lyrics": (song(gt_lyric="  "), "gt_lyric is empty"),
    "lyrics of a wrong kind": (song(gt_lyric=["la"]), "gt_lyric is no text"),
    "unknown section": (song(gt_lyric="[pre-chorus] la la"), "gt_lyric: "),
    "half a character": ('{"idx": "a\\ud800", "gt_lyric": "[verse] la"}', "half a character"),
    "sentence": (song(descriptions="write me a very happy song about summer"), "reads like a sentence"),
    "unknown style": (
        song(auto_prompt_audio_type="Polka"),
        "'Polka' is not in the library; use one of Auto, Pop, Hip-Hop.",
    ),
    "audio elsewhere": (song(prompt_audio_path="../a.wav"), "leads out of"),
    "audio of the system": (song(prompt_audio_path="/etc/passwd"), "leads out of"),
    "no audio": (song(prompt_audio_path="a.wav"), "'a.wav' is not in"),
    "folder as audio": (song(prompt_audio_path="."), "leads out of"),
    "no path": (song(prompt_audio_path="a\0b"), "is no path"),
}


@pytest.mark.parametrize(("line", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_line_is_named_in_one_sentence_and_the_others_are_there(
    tmp_path: Path, line: dict | str, sentence: str
):
    found = read(lines(song("before"), line, song("after")), tmp_path, STYLES)
    assert [song.idx for song in found.songs] == ["before", "after"]
    (fault,) = map(str, found.faults)
    assert fault.startswith("Line 2: ")
    assert sentence in fault
    assert fault.endswith(".") and "\n" not in fault


def test_all_faults_are_told_at_once(tmp_path: Path):
    found = read(lines("{", song("a"), {"idx": "b"}, song("a"), "x"), tmp_path)
    assert [fault.line for fault in found.faults] == [1, 3, 4, 5]
    assert str(found.faults[1]) == "Line 3: idx 'b': gt_lyric is missing; a song needs idx and gt_lyric."
    assert str(found.faults[2]) == "Line 4: idx 'a' is taken by line 2; give each its own."


def test_of_many_faults_the_first_are_told_and_how_many_more(tmp_path: Path):
    found = read(lines(*["{"] * 1_234, song("a")), tmp_path)
    sentences = song_list.first_sentences(found.faults)
    assert len(found.faults) == 1_234
    assert sentences[:20] == [str(fault) for fault in found.faults[:20]]
    assert sentences[20:] == ["And 1,214 more faulty lines."]
    assert song_list.first_sentences(found.faults[:20]) == [str(fault) for fault in found.faults[:20]]


@pytest.mark.parametrize(
    "field", ["idx", "gt_lyric", "auto_prompt_audio_type", "prompt_audio_path", "unheard_of"]
)
def test_what_a_line_says_is_not_repeated_without_end(tmp_path: Path, field: str):
    found = read(lines(song(**{field: "?" * 100_000}), song("?" * 100_000)), tmp_path, STYLES)
    assert sum(len(str(sentence)) for sentence in (*found.faults, *found.oddities)) < 1_000


DOCUMENTS = {
    "array": json.dumps([song("a"), song("b")]),
    "pretty array": json.dumps([song("a"), song("b")], indent=2),
    "array, a song a line": f"[\n{json.dumps(song('a'))},\n{json.dumps(song('b'))}\n]",
    "pretty song": json.dumps(song("a"), indent=4),
    "pretty songs": "\n".join(json.dumps(song(idx), indent=1) for idx in "abc"),
    "songs below a name": json.dumps({"songs": [song("a"), song("b")]}, indent=2),
    "array that was cut": json.dumps([song(str(i)) for i in range(30)], indent=2)[:-40],
    "array with a comma too many": f"[\n{json.dumps(song('a'))},\n{json.dumps(song('b'))},\n]",
    "pretty array with empty lines": f"\n\n[\n\n{json.dumps(song('a'), indent=1)}\n]\n",
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_json_document_is_said_once(tmp_path: Path, text: str):
    with pytest.raises(SongListError, match=r"is one JSON document; write each song on a line of its own"):
        read(text.encode(), tmp_path)


@pytest.mark.parametrize("line", ["{idx: a}", "{'idx': 'a', 'gt_lyric': 'la'}", "{", "[1, 2", "word"])
def test_a_list_of_faulty_lines_is_no_document(tmp_path: Path, line: str):
    assert len(read(lines(line, line, line), tmp_path).faults) == 3


@pytest.mark.parametrize("first", ["{", "[", '{"idx": "a"', "[1, 2]", json.dumps([song("x")]), "[" * 9_999])
def test_a_list_with_a_faulty_first_line_is_no_document(tmp_path: Path, first: str):
    found = read(lines(first, song("b"), song("c")), tmp_path)
    assert ([song.idx for song in found.songs], len(found.faults)) == (["b", "c"], 1)


def test_a_clip_that_is_of_no_use_is_a_fault_of_its_line(tmp_path: Path):
    for name in ("good.wav", "bad.wav", "gone.wav"):
        (tmp_path / name).touch()
    heard: list[str] = []

    def hear(clip: Path) -> None:
        heard.append(clip.name)
        if clip.name == "bad.wav":
            raise ValueError("The clip is silent.")
        if clip.name == "gone.wav":
            raise FileNotFoundError(2, "No such file")

    names = ("good.wav", "bad.wav", "gone.wav", "")
    songs = [song(str(number), prompt_audio_path=name) for number, name in enumerate(names)]
    found = read(lines(*songs), tmp_path, hear=hear)
    assert heard == ["good.wav", "bad.wav", "gone.wav"]
    assert [song.idx for song in found.songs] == ["0", "3"]
    assert tuple(map(str, found.faults)) == (
        "Line 2: idx '1': prompt_audio_path: The clip is silent.",
        "Line 3: idx '2': prompt_audio_path 'gone.wav' cannot be opened (No such file).",
    )
    assert all(fault.clip for fault in found.faults)


@pytest.mark.parametrize(
    "path", ["loop.wav", "ring/a.wav", "x" * 300, "x/" * 3_000 + "a.wav", "é" * 200 + ".wav", "pipe.wav"]
)
def test_a_path_that_no_disk_can_open_is_a_fault_of_its_line(tmp_path: Path, path: str):
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "ring").symlink_to("back")
    (tmp_path / "back").symlink_to("ring")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.wav")
    found = read(lines(song("before"), song("b", prompt_audio_path=path), song("after")), tmp_path)
    assert [song.idx for song in found.songs] == ["before", "after"]
    (fault,) = map(str, found.faults)
    assert fault.startswith("Line 2: idx 'b': prompt_audio_path ")
    assert len(fault) < 300


def test_songs_whose_names_are_alike_are_songs_of_their_own(tmp_path: Path):
    names = ["ONE", "one", "a/b", "a:b", "é", "e\u0301", "गीत", "गात"]
    found = read(lines(*map(song, names)), tmp_path)
    assert ([song.idx for song in found.songs], found.faults) == (names, ())


def test_what_is_passed_over_is_told(tmp_path: Path):
    (tmp_path / "a.wav").touch()
    both = song("b", prompt_audio_path="a.wav", auto_prompt_audio_type="Pop")
    found = read(lines(song(lyric="la"), both), tmp_path, STYLES)
    assert found.oddities == (
        "Line 1: lyric means nothing here.",
        "Line 2: auto_prompt_audio_type is passed over, because prompt_audio_path is there.",
    )
    assert found.songs[1].style == ""
    (told,) = read(lines(song(auto_prompt_audio_type="Pop")), tmp_path).oddities
    assert told == "Line 1: auto_prompt_audio_type is passed over, because no library is chosen."


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\n \n", "empty"),
        ("é".encode("latin-1"), "not UTF-8"),
        ('{"idx"'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_file_without_a_line_is_refused(tmp_path: Path, data: bytes, sentence: str):
    with pytest.raises(SongListError, match=sentence):
        read(data, tmp_path)


@pytest.mark.parametrize(
    "lyrics", ["[verse] Hello there. ; [chorus] La.", "[verse] Hello there.; [chorus] La."]
)
@pytest.mark.parametrize("tags", ["female, pop", "female, pop."])
def test_the_hash_of_a_request_is_that_of_older_versions(lyrics: str, tags: str):
    made = song_list.Song(1, "夜", lyrics, tags, Path("/x/clip.wav"), "")
    assert made.request_hash == "12ff2118298913d5d9cfd6d10221a2b6dda16e7aed033bf9640a83a5bd4a76c6"
    assert replace(made, lyrics=lyrics.replace("La", "Lo")).request_hash != made.request_hash
    assert replace(made, description="male, pop").request_hash != made.request_hash
    assert replace(made, idx="晚").request_hash != made.request_hash
    assert replace(made, line=2).request_hash == made.request_hash


# Results -------------------------------------------------------------------------------------------------


def finish(folder: Path, made: song_list.Song) -> None:
    (folder / f"{made.name}.flac").write_bytes(b"sound")
    results.write(folder, {"idx": made.idx, "asked_sha256": made.request_hash})


def test_what_is_finished_is_not_missing_until_it_is_asked_for_otherwise(tmp_path: Path):
    songs = read(lines(song("a"), song("b")), tmp_path).songs
    assert results.missing(songs, tmp_path) == list(songs)
    finish(tmp_path, songs[0])
    assert results.missing(songs, tmp_path) == [songs[1]]
    (other, _) = read(lines(song("a", descriptions="rock"), song("b")), tmp_path).songs
    assert results.missing([other], tmp_path) == [other]
    (tmp_path / "a.flac").write_bytes(b"")  # as after a power cut
    assert results.missing(songs, tmp_path) == list(songs)
    (tmp_path / "a.flac").unlink()
    assert results.missing(songs, tmp_path) == list(songs)
    (tmp_path / "a.flac").mkdir()
    assert results.missing(songs, tmp_path) == list(songs)


@pytest.mark.parametrize("descriptions", ["female, pop", "female, pop.", "Female, Pop!", "female，pop。"])
def test_a_song_that_was_recorded_before_lists_ended_with_a_stop_is_finished(
    tmp_path: Path, descriptions: str
):
    (made,) = read(lines(song("a", descriptions=descriptions)), tmp_path).songs
    assert made.description == "female, pop."
    asked = json.dumps(["a", "[verse] Hello there. ; [chorus] La la la.", "female, pop", "", ""])
    assert made.request_hash == hashlib.sha256(asked.encode()).hexdigest()


def test_a_result_takes_the_place_of_an_earlier_one(tmp_path: Path):
    for idx, take in (("a", 1), ("夜", 1), ("a", 2)):
        results.write(tmp_path, {"idx": idx, "take": take})
    text = (tmp_path / "results.jsonl").read_text("utf-8")
    assert text == '{"idx": "a", "take": 2}\n{"idx": "夜", "take": 1}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize("text", ["{", "[]", '{"file": "a.flac"}', "3"])
def test_damaged_results_are_never_written_over(tmp_path: Path, text: str):
    path = tmp_path / "results.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(SongListError, match="is damaged"):
        results.write(tmp_path, {"idx": "a"})
    assert path.read_text("utf-8") == text
