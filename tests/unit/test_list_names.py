"""Names of files out of what people type: safe everywhere, short enough with every suffix, told apart."""

from __future__ import annotations

import itertools
import time
import unicodedata
from pathlib import Path

import pytest

from levo.batch import names
from levo.batch.names import dated, file_name, key, numbered, safe_path
from levo.batch.saving import CORE

SUFFIXES = (CORE, ".flac", "_00001_.flac", "_00001_.safetensors.part", "_00001_.safetensors")


@pytest.mark.parametrize(
    ("idx", "name"),
    [
        ("song_1", "song_1"),
        ("夜 曲", "夜 曲"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\\b:c", "a_b_c"),
        ("%year%", "_year_"),
        ("..", ""),
        (" . ", ""),
        ("\u200d\u200c", ""),
        ("x" * 300, "x" * 100),
        ("गीत", "गीत"),
        ("เพลงที่รัก", "เพลงที่รัก"),
        ("شَمْس", "شَمْس"),
        ("می‌خواهم", "می‌خواهم"),
        ("e\u0301te\u0301", "été"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("a\ud800b", "a_b"),
        ("song.", "song"),
        ("song. .", "song"),
        ("tab\tnull\0", "tab_null_"),
    ],
)
def test_letters_and_marks_stay_and_what_systems_forbid_goes(tmp_path: Path, idx: str, name: str):
    assert file_name(idx) == name
    if name:
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()


DEVICES = ["CON", "con", "Prn", "AUX.flac", "nul", "com1.wav", "COM0", "COM¹", "com².x", "LPT³", "lpt9"]


@pytest.mark.parametrize("device", [*DEVICES, "con .x", "nul   .a.b", "COM1 "])
def test_devices_of_windows_are_no_names(device: str):
    assert file_name(device) == f"_{device.strip()}"
    assert safe_path(f"a/{device}/{device}") == f"a/_{device.rstrip()}/_{device.rstrip()}"


@pytest.mark.parametrize("name", ["conga", "com", "com10", "lpt", "con1", "a.con", "auxiliary", "COM⁴"])
def test_names_that_only_begin_like_devices_stay(name: str):
    assert file_name(name) == name == safe_path(name)


LONG = [
    "海" * 100,
    "गी" * 100,
    "a" * 99 + "é" * 200,
    "🎵夜" * 200,
    "a" + "\u0301" * 500,
    "ﷺ" * 100,
    "𠜎" * 99,
]


@pytest.mark.parametrize("idx", LONG)
def test_a_name_fits_a_disk_with_all_that_is_put_around_it(tmp_path: Path, idx: str):
    name = file_name(idx)
    (last,) = itertools.islice(numbered(name), 99_998, 99_999)
    for suffix in SUFFIXES:
        assert len(f".{last}{suffix}".encode()) <= 255
        (tmp_path / f".{last}{suffix}").touch()
        assert len(f"{safe_path(idx)}{suffix}".encode()) <= 255
    assert len(name) <= 100


@pytest.mark.parametrize(("size", "kept"), [(2, ""), (3, "क"), (8, "क"), (9, "ककि"), (12, "ककिक")])
def test_marks_are_cut_off_with_their_letters(size: int, kept: str):
    assert names.cut("ककिक", size) == kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ONE.flac", "one.FLAC"),
        ("é", "e\u0301"),
        ("한글", unicodedata.normalize("NFD", "한글")),
        ("straße", "STRASSE"),
        ("ﬁre", "fire"),
        ("می‌خواهم", "میخواهم"),
        ("Ångström", "A\u030angstro\u0308m"),
        ("\u212a", "k"),
    ],
)
def test_what_some_disk_takes_for_one_name_has_one_key(one: str, other: str):
    assert key(one) == key(other)


@pytest.mark.parametrize(("one", "other"), [("गीत", "गात"), ("a", "á"), ("一", "二"), ("one", "one (2)")])
def test_other_names_have_other_keys(one: str, other: str):
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("tokens/LeVo", "tokens/LeVo"),
        ("a:b", "a_b"),
        ("trailing./x ", "trailing/x"),
        ('<>"|?*\\', "_______"),
        ("%year%/%day%", "%year%/%day%"),
        ("../a", "../a"),
        ("a/ ", "a/_"),
        ("\ud83d", "_"),
        ("a\0b/\n", "a_b/_"),
        ("", ""),
    ],
)
def test_a_path_keeps_its_folders_and_loses_what_systems_forbid(path: str, safe: str):
    assert safe_path(path) == safe


def test_names_of_times_are_resolved():
    now = time.struct_time((2026, 3, 4, 5, 6, 7, 0, 0, 0))
    text = "%year%-%month%-%day% %hour%.%minute%.%second%"
    assert dated(text, now) == "2026-03-04 05.06.07"
    assert dated("100 % of 50% a %", now) == "100 % of 50% a %"


@pytest.mark.parametrize("name", ["%date%", "%date:yyyy-MM-dd%", "%width%", "%KSampler.seed%", "%Year%"])
def test_other_names_of_comfyui_are_refused(name: str):
    with pytest.raises(ValueError, match=f"^{name} stands for nothing here; use %year%, %month%"):
        dated(f"batch_{name}", time.localtime())
