"""The stand-in for Qwen2's vocabulary has the ids that unit tests rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import pack
from support.vocabulary import SIZE, byte_characters, write_vocabulary

from levo.text.tokenizer import Tokenizer

# Made of special tokens and single bytes in the real vocabulary too.
LYRICS = ["", "[verse]", "[silence][chorus]", ".", "..."]
STYLES = ["", ".", "[Pure-Music]", "[Musicality-very-low], ."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [pack.tokenizer_dir(), write_vocabulary(tmp_path_factory.mktemp("vocabulary"))]


def test_bytes_have_the_real_ids_and_there_are_as_many_words():
    real = json.loads((pack.tokenizer_dir() / "vocab.json").read_text("utf-8"))
    assert len(real) == SIZE
    assert sorted(real, key=real.get)[:256] == byte_characters()


def test_special_tokens_and_bytes_are_encoded_alike(folders: list[Path]):
    real, ours = (Tokenizer(folder, "v2") for folder in folders)
    assert [ours.lyric(text) for text in LYRICS] == [real.lyric(text) for text in LYRICS]
    assert [ours.style(text) for text in STYLES] == [real.style(text) for text in STYLES]
