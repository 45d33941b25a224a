"""Names as people type them: what no disk can hold is one sentence before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sentences import assert_one_sentence

from levo.batch.names import file_name, safe_path
from levo.files import names

PORTS = ["COM0", "com9", "COM¹", "com²", "COM³", "LPT0", "lpt9", "LPT¹", "LPT²", "lpt³"]
DEVICES = ["CON", "con.txt", "PRN", "Aux", "nul", "CONIN$", "conout$.wav", *PORTS]
SUFFIX = ".safetensors"
IMPOSSIBLE = {
    "null": ("a\0b", "a character that no file name can have"),
    "newline": ("a\nb", "a character that no file name can have"),
    "escape": ("\x1b[31m", "a character that no file name can have"),
    "null in a folder": ("a\0/b", "a character that no file name can have"),
    "half an emoji": ("\ud83d", "half a character"),
    "other half": ("song \udc4d/b", "half a character"),
    "300 letters": ("x" * 300, "too long"),
    "244 letters and the ending": ("x" * 244, "too long"),
    "90 Chinese characters": ("雪" * 90, "too long"),
    "a folder of 300 letters": ("x" * 300 + "/b", "too long"),
    "a path of 1,500 bytes": ("/".join(["x" * 150] * 10), "too long"),
    "1,000 folders": ("a/" * 1000 + "b", "too long"),
    "100 folders": ("a/" * 100 + "b", "100 folders deep; use at most 32"),
}


@pytest.mark.parametrize(("name", "phrase"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_name_that_no_disk_can_hold_is_one_sentence(tmp_path: Path, name: str, phrase: str):
    with pytest.raises(ValueError) as raised:
        names.file_below("LeVo Save Style", name, tmp_path, SUFFIX)
    sentence = str(raised.value)
    assert_one_sentence(sentence)
    assert sentence.startswith("LeVo Save Style cannot use the name '") and phrase in sentence
    assert len(sentence.encode()) < 400  # and can be printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["x" * 243, "雪" * 81, "a/" * 32 + "b", "Niño 雪 नमस्ते é", "a.b", ".hidden"]
)
def test_other_names_are_taken_as_they_are(tmp_path: Path, name: str):
    path = names.file_below("LeVo Save Style", f" {name}{SUFFIX} ", tmp_path, SUFFIX)
    assert path == tmp_path / f"{name}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["", " ", ".", "..", "/", "../x", "a/../../x", "/etc/x", "a/..", "a/."])
def test_a_name_is_one_and_stays_in_its_folder(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="give one that stays in"):
        names.file_below("Node", name, tmp_path, SUFFIX)


def test_links_in_a_circle_are_refused(tmp_path: Path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ValueError, match="cannot use the name 'a/x'"):
        names.file_below("Node", "a/x", tmp_path, SUFFIX)


@pytest.mark.parametrize("name", [*DEVICES, "nul .x", "a/aux/b", "a:b", 'say "x"', "trailing.", "b /c"])
def test_what_windows_cannot_have_is_refused_there(name: str, monkeypatch: pytest.MonkeyPatch):
    assert names.fault(name) is None
    monkeypatch.setattr(names.os, "name", "nt")
    assert names.fault(name) == "which Windows cannot have; choose another"
    assert names.fault("console/a.b/com/com10/conin/../.") is None


@pytest.mark.parametrize("name", DEVICES)
def test_a_name_that_comes_from_a_text_is_no_device(name: str):
    assert safe_path(f"a/{name}") == f"a/_{name}"
    assert not names.is_device(file_name(name))
