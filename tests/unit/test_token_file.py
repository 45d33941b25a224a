"""Songs as tokens in files: what goes in comes out, and what is no song is refused in a sentence."""

from __future__ import annotations

import json
import os
import random
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support import pack
from support.sentences import assert_one_sentence

import levo
from levo import tiny
from levo.config import CODES, EMPTY, RELEASED_CONFIGS, Sampling
from levo.files import claims, style_library
from levo.song import token_file
from levo.song.token_file import TokenFileError
from levo.song.tokens import Composer, SongRequest, SongTokens, config_hash

LYRICS = "[intro-short] ; [verse] Paper boats.Silver stream ; [outro-short]"


def a_song(lengths: tuple[int, ...] = (7, 5), style: bool = False) -> SongTokens:
    generator = torch.Generator().manual_seed(1)
    codes = torch.full((len(lengths), 3, max(lengths)), EMPTY)
    for row, length in zip(codes, lengths, strict=True):
        row[:, :length] = torch.randint(CODES, (3, length), generator=generator)
    codes[0, 0, 0], codes[0, 1, 0] = 0, CODES - 1
    prompt = torch.randint(CODES, (1, 3, 250), generator=generator)
    prompt[0, 2] = EMPTY  # a prompt may lack a track
    request = SongRequest(LYRICS, "female, pop, 流行", False, prompt if style else None)
    seeds = tuple((1 << 64) - 1 - take for take in range(len(lengths)))
    ended = tuple(take % 2 == 0 for take in range(len(lengths)))
    composer = Composer("v2-medium/model.pt", "v2", config_hash(tiny.LELM))
    return SongTokens(codes, lengths, seeds, ended, request, Sampling(temperature=0.9, top_k=50), composer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "song.safetensors"


def refusal(path: Path) -> str:
    with pytest.raises(TokenFileError) as error:
        token_file.load(path)
    assert_one_sentence(str(error.value))
    return str(error.value)


def contents(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.skipif(sys.platform == "win32", reason="lets go of a file before it gets its name")
@pytest.mark.parametrize("saving", ["tokens", "style"])
def test_a_file_is_locked_until_it_has_its_name(tmp_path: Path, monkeypatch, saving: str):
    locks, replace = [], os.replace

    def renamed(file: Path, dst: Path) -> None:
        locks.append(claims.open_locked(Path(file), "rb"))
        replace(file, dst)

    monkeypatch.setattr(os, "replace", renamed)
    if saving == "tokens":
        token_file.save(tmp_path / "x.safetensors", a_song())
    else:
        style_library.save_style(tmp_path / "x.safetensors", tiny.style(), "x")
    assert locks == [None]  # nobody else could have it


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize("style", [False, True], ids=["without style", "with style"])
@pytest.mark.parametrize("lengths", [(7, 5), (1,), (3, 9, 2)], ids=str)
def test_a_song_comes_back_as_it_was(path: Path, lengths: tuple[int, ...], style: bool):
    song = a_song(lengths, style)
    token_file.save(path, song)
    back = token_file.load(path)
    assert back.codes.dtype == torch.int64
    assert torch.equal(back.codes, song.codes)
    if style:
        assert torch.equal(back.request.style, song.request.style)
    bare = [
        replace(s, codes=None, request=replace(s.request, style=None)) for s in (song, back)
    ]  # tensors do not compare as a whole
    assert bare[0] == bare[1]
    assert list(path.parent.iterdir()) == [path]


def test_a_code_takes_two_bytes(path: Path):
    song = a_song((6_750,))
    token_file.save(path, song)
    assert path.stat().st_size < 3 * 6_750 * 2 + 2_000


def test_a_file_says_in_words_what_it_holds_and_who_wrote_it(path: Path):
    token_file.save(path, a_song())
    assert token_file.is_song(path)
    said = json.loads(contents(path)[1]["levo.song"])
    assert said["section_seconds"] is None
    assert said["pack"] == levo.VERSION
    assert said["takes"][1] == {"frames": 5, "seed": (1 << 64) - 2, "ended": False}


def test_the_version_is_the_one_of_the_project_file():
    project = (pack.ROOT / "pyproject.toml").read_text("utf-8")
    assert re.findall(r'^version = "(.+)"$', project, re.MULTILINE) == [levo.VERSION]


def test_different_checkpoints_have_different_hashes():
    sizes = set(RELEASED_CONFIGS.values())
    assert len({config_hash(config) for config in sizes}) == len(sizes)
    assert config_hash(RELEASED_CONFIGS["large"]) == config_hash(replace(RELEASED_CONFIGS["large"]))


def test_what_a_later_version_adds_is_passed_over(path: Path):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    said = json.loads(metadata["levo.song"]) | {"mood": "blue"}
    save_file(tensors | {"more": torch.zeros(1)}, path, metadata | {"levo.song": json.dumps(said)})
    assert torch.equal(token_file.load(path).codes, a_song().codes)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    path.write_bytes(b"old")

    def full(file: Path, data: bytes) -> None:
        file.write_text(f"half of {len(data)}")
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        token_file.save(path, a_song())
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------ damaged and foreign


@pytest.mark.parametrize("part", ["nothing", "text", "header", "half"])
def test_a_file_that_is_cut_off_or_none_is_refused(path: Path, part: str):
    token_file.save(path, a_song())
    whole = path.read_bytes()
    path.write_bytes(
        {"nothing": b"", "text": b"hello " * 40, "header": whole[:60], "half": whole[:-9]}[part]
    )
    assert refusal(path).startswith("song.safetensors is damaged")
    assert not token_file.is_song(path)


def test_a_model_file_is_refused(path: Path):
    save_file({"weight": torch.zeros(2)}, path)
    assert "holds no song" in refusal(path)
    assert not token_file.is_song(path)


def test_a_file_of_another_format_is_refused(path: Path):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    save_file(tensors, path, metadata | {"levo.format": "2"})
    assert "has format 2" in refusal(path)
    save_file(tensors, path, metadata | {"levo.format": ""})
    assert "does not say its format" in refusal(path)


SAID = {
    "no takes": ({"takes": []}, "no takes"),
    "a take without a seed": ({"takes": [{"frames": 7, "ended": True}]}, "lacks seed"),
    "a take too few": ({"takes": [{"frames": 7, "seed": 0, "ended": True}]}, "does not fit its takes"),
    "takes of no frames": (
        {"takes": [{"frames": n, "seed": 0, "ended": True} for n in (7, 0)]},
        "no frames",
    ),
    "a take too long": (
        {"takes": [{"frames": n, "seed": 0, "ended": True} for n in (7, 6)]},
        "out of range",
    ),
    "true for a number": ({"takes": [{"frames": 7, "seed": True, "ended": True}]}, "seed cannot be read"),
    "a text for truth": ({"instrumental": "no"}, "instrumental cannot be read"),
    "no lyrics": ({"lyrics": None}, "lyrics cannot be read"),
    "a list for settings": ({"sampling": []}, "sampling cannot be read"),
    "settings missing": ({"sampling": {"guidance": 1.5}}, "lacks temperature"),
    "another version": (
        {"composer": {"checkpoint": "x", "version": "v9", "config_sha256": ""}},
        "its version is unknown",
    ),
}


@pytest.mark.parametrize(("change", "reason"), SAID.values(), ids=SAID.keys())
def test_a_description_that_cannot_be_is_refused_with_its_reason(
    path: Path, change: dict[str, Any], reason: str
):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    said = json.loads(metadata["levo.song"]) | change
    save_file(tensors, path, metadata | {"levo.song": json.dumps(said)})
    assert reason in refusal(path)


def test_a_number_without_end_is_refused_in_words_of_ours(path: Path):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    save_file(tensors, path, metadata | {"levo.song": f'{{"takes": {"9" * 5_000}}}'})
    assert "its description cannot be read" in refusal(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000], ids=lambda text: text[:9])
def test_a_description_that_is_none_is_refused(path: Path, text: str):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    save_file(tensors, path, metadata | {"levo.song": text})
    assert "is damaged" in refusal(path)


CODE_FAULTS = {
    "end mark in a song": lambda codes: codes.index_fill(2, torch.tensor([3]), CODES),
    "negative": lambda codes: codes.index_fill(2, torch.tensor([3]), -1),
    "a code behind the end": lambda codes: codes.index_fill(2, torch.tensor([6]), 5),
    "two tracks": lambda codes: codes[:, :2].contiguous(),
    "floats": lambda codes: codes.float(),
}


@pytest.mark.parametrize("fault", CODE_FAULTS.values(), ids=CODE_FAULTS.keys())
def test_codes_that_no_song_has_are_refused(path: Path, fault):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    save_file({"codes": fault(tensors["codes"])}, path, metadata)
    assert "codes" in refusal(path)


@pytest.mark.parametrize("style", [torch.zeros(3, 249).short(), torch.full((3, 250), CODES).short()])
def test_a_style_prompt_that_is_none_is_refused(path: Path, style: torch.Tensor):
    token_file.save(path, a_song())
    tensors, metadata = contents(path)
    save_file(tensors | {"style": style}, path, metadata)
    assert "its style prompt" in refusal(path)


def test_a_file_without_codes_is_refused(path: Path):
    token_file.save(path, a_song())
    save_file({"other": torch.zeros(1)}, path, contents(path)[1])
    assert "lacks codes" in refusal(path)


def test_no_flipped_byte_brings_more_than_a_sentence(path: Path):
    token_file.save(path, a_song((7, 5), style=True))
    whole, dice = path.read_bytes(), random.Random(1)
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(400):
        flipped = bytearray(whole)
        flipped[dice.randrange(header + 40)] = dice.randrange(256)
        path.write_bytes(flipped)
        try:
            token_file.load(path)
        except TokenFileError as error:
            assert_one_sentence(str(error))
