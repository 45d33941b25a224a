"""Lists, names and results of any content: each line a song or a fault, no name outside, no song lost."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from support.listed_songs import assert_all_are_kept, make, save, song

from levo.batch import names, results
from levo.batch.names import FORBIDDEN, NAME_BYTES, file_name, key, safe_path
from levo.batch.saving import plan, prepare
from levo.batch.song_list import SongListError, first_sentences, read
from levo.files.names import is_device

fuzz = settings(derandomize=True, database=None, deadline=None, max_examples=200)
few = settings(derandomize=True, database=None, deadline=None, max_examples=50)  # with files

ANY = st.text(st.characters(), max_size=120)  # half characters too
CLOSE = st.text(
    st.sampled_from("aA bB.:/\\%é\u0301ÉﬁK\u212a\u200d_()12夜गीकि¹"), max_size=12
)  # names that collide
PIECES = st.sampled_from(
    ["con", "COM¹", "lpt3", "nul", " ", ".", "/", "..", "\0", "🎵", "夜", "\u0301", "x" * 90]
)
NAMES = st.one_of(ANY, CLOSE, st.lists(PIECES, max_size=8).map("".join))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=6,
)
LYRICS = st.sampled_from(
    ["[verse] La la", "", "[pre-chorus] la", "[verse]", "[chorus] Hey ; [outro-short]"]
)
PATHS = st.sampled_from(["clip.wav", "gone.wav", "../x", "/", "a\0", "x" * 300, "loop", ""]) | ANY
SONGS = st.fixed_dictionaries(
    {"idx": NAMES | JSON, "gt_lyric": LYRICS | JSON},
    optional={
        "descriptions": st.sampled_from(["pop, female.", "rock"]) | JSON,
        "prompt_audio_path": PATHS | JSON,
        "auto_prompt_audio_type": st.sampled_from(["Pop", "Polka"]) | JSON,
        "other": JSON,
    },
)
LINES = st.one_of(
    SONGS.map(json.dumps), JSON.map(json.dumps), ANY, st.sampled_from(["", " ", "[", "{", "]", "},"])
)


@fuzz
@given(NAMES)
def test_any_text_gives_a_safe_name_or_none(text: str):
    name = file_name(text)
    assert len(name.encode()) <= NAME_BYTES
    assert not FORBIDDEN.search(name) and "/" not in name
    assert not is_device(name)
    assert name == name.strip(". ")
    assert file_name(name) == name
    if len(text) < names.LENGTH:
        assert file_name(unicodedata.normalize("NFD", text)) == name


@fuzz
@given(NAMES)
def test_any_path_is_made_safe_part_by_part(text: str):
    path = safe_path(text)
    assert path.count("/") == text.count("/")
    for part in path.split("/"):
        assert len(part.encode()) <= NAME_BYTES
        assert part in ("", ".", "..") or not (FORBIDDEN.search(part) or is_device(part))
        assert part in (".", "..") or part == part.rstrip(". ")
    assert safe_path(path) == path


@fuzz
@given(NAMES)
def test_case_and_composition_change_no_key(text: str):
    for form in ("NFC", "NFD", "NFKC"):
        assert key(unicodedata.normalize(form, text)) == key(text)
    assert key(text.upper()) == key(text.upper().lower())
    assert key(key(text)) == key(text)


def assert_every_line_is_told_of(data: bytes, lines: list[str], folder: Path) -> None:
    heard = []

    def hear(clip: Path) -> None:
        heard.append(clip)
        if len(heard) % 2:
            raise ValueError("The clip is silent.")

    try:
        found = read(data, folder, ["Auto", "Pop"], hear)
    except SongListError as error:
        assert "\n" not in str(error) and str(error).endswith(".")
        return
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    assert sorted([one.line for one in found.songs] + [fault.line for fault in found.faults]) == filled
    assert len({one.idx for one in found.songs}) == len(found.songs)
    for one in found.songs:
        assert one.name and one.lyrics and one.request_hash
    for sentence in map(str, (*found.faults, *found.oddities)):
        assert sentence.startswith("Line ") and len(sentence) < 2_000
    assert len(first_sentences(found.faults)) <= 21


@fuzz
@given(st.lists(LINES, max_size=6))
def test_every_line_is_a_song_or_a_fault(lines: list[str]):
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clip.wav").touch()
        (folder / "loop").symlink_to("loop")
        text = "\n".join(lines)
        data = text.encode(errors="replace")
        assert_every_line_is_told_of(data, data.decode().split("\n"), folder)


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_a_sentence(data: bytes):
    with TemporaryDirectory() as name:
        text = data.decode("utf-8-sig", errors="replace")
        assert_every_line_is_told_of(data, text.split("\n"), Path(name))


RECORD = st.dictionaries(
    st.sampled_from(["idx", "file", "asked_sha256", "saved", "error", "failed", "settings", "line"]),
    st.sampled_from(["one", "one.flac", "ONE.FLAC", "../x.flac", "\0.flac", ".flac", "..", "夜.flac"])
    | JSON,
)
RESULTS = st.lists(RECORD.map(json.dumps) | JSON.map(json.dumps) | ANY, max_size=4)


@few
@given(RESULTS)
def test_any_results_are_read_or_refused_and_a_song_is_saved_all_the_same(lines: list[str]):
    with TemporaryDirectory() as name:
        folder, one = Path(name), song("one")
        text = "\n".join(lines).encode(errors="replace")
        (folder / "results.jsonl").write_bytes(text)
        (planned,) = plan([one], Path(name) / "none yet")
        planned = type(planned)(one, folder, planned.name, planned.earlier)
        try:
            prepare(folder, [one])
            results.failures([one], folder)
            assert results.missing([one], folder) == [one]
        except SongListError:
            try:
                save(planned, one.lyrics)
            except SongListError as error:
                assert str(error).startswith("one.flac is saved, but not recorded: ")
            assert (folder / "results.jsonl").read_bytes() == text
            assert (folder / "one.flac").read_text("utf-8") == one.lyrics
            return
        file = save(planned, one.lyrics)
        assert (folder / file).read_text("utf-8") == one.lyrics
        assert results.missing([one], folder) == []


@few
@given(st.lists(st.lists(CLOSE.filter(file_name), max_size=4), max_size=4), st.data())
def test_songs_of_any_names_are_all_kept(runs: list[list[str]], data: st.DataObject):
    with TemporaryDirectory() as name:
        folder, songs = Path(name), []
        for number, run in enumerate(runs):
            now = [song(idx, f"run {number} song {place}") for place, idx in enumerate(run)]
            make(folder, *now)
            songs += now
        if songs:
            make(folder, *data.draw(st.lists(st.sampled_from(songs), max_size=3, unique=True)))
            assert_all_are_kept(folder, *songs)
