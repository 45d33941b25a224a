"""The models of a process of the command: by which vocabulary LeLM reads its texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.gguf_models import write_lelm
from support.vocabulary import MERGES, SIZE, write_vocabulary

from levo import demo
from levo.command.job import Engine, Files
from levo.command.models import Models
from levo.kinds import Kind
from levo.text.tokenizer import Tokenizer

LYRICS = "[verse] Über den Wolken ... [chorus] 夜 .."


def loaded(lelm: Path, vocabulary: Path | None = None) -> Models:
    return Models(Engine(Files(lelm=lelm, vocabulary=vocabulary), device="cpu", threads=1))


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vocabulary(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def words(vocabulary: Path) -> list[str]:
    return list(json.loads((vocabulary / "vocab.json").read_text("utf-8")))


def test_a_gguf_file_brings_its_vocabulary(tmp_path: Path, vocabulary: Path, words: list[str]):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "[verse]"]
    path = tmp_path / "levo.gguf"
    lists = {"tokenizer.ggml.tokens": [*words, *special], "tokenizer.ggml.merges": list(MERGES)}
    write_lelm(path, "F16", **lists)
    models = loaded(path)
    ours = Tokenizer(vocabulary, models.lelm.config.version)
    assert models.tokenizer.lyric(LYRICS) == ours.lyric(LYRICS)
    assert models.tokenizer.style("pop, 夜.") == ours.style("pop, 夜.")


@pytest.mark.parametrize("lists", ["few", "no merges", "odd merges"])
def test_a_vocabulary_that_is_not_whole_is_none(tmp_path: Path, words: list[str], lists: str):
    path = tmp_path / "levo.gguf"
    tokens = words[: SIZE - 1] if lists == "few" else words
    merges = {"few": list(MERGES), "no merges": [], "odd merges": ["..."]}[lists]
    said = {"tokenizer.ggml.tokens": tokens} | ({"tokenizer.ggml.merges": merges} if merges else {})
    write_lelm(path, "F16", **said)
    with pytest.raises(ValueError, match=r"There is no vocabulary .* beside .*levo\.gguf; download"):
        loaded(path)


def test_a_folder_comes_before_what_the_file_has(tmp_path: Path, vocabulary: Path):
    path = tmp_path / "levo.gguf"
    write_lelm(path, "F16")
    assert loaded(path, vocabulary).tokenizer.lyric("[verse] A").ids


def test_a_model_that_reads_bytes_wants_no_vocabulary_wherever_it_lies(tmp_path: Path):
    copied = Path(shutil.copy(demo.path(Kind.LELM), tmp_path / "mine.safetensors"))
    assert loaded(copied).tokenizer.reads_bytes


def test_another_file_is_told_for_what_it_is(tmp_path: Path):
    path = tmp_path / "songs.jsonl"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"songs\.jsonl is not a torch checkpoint"):
        loaded(path)
