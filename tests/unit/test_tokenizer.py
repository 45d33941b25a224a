"""Texts to ids, and ids to the padded rows that LeLM reads."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.vocabulary import write_vocabulary

from levo.config import EMPTY, END, RELEASED_CONFIGS
from levo.lelm.conditions import Conditions, prepare, song_text
from levo.text import tokenizer as module
from levo.text.style import conditioned
from levo.text.tags import TAGS
from levo.text.tokenizer import PAD, Tokenizer

START, STOP = 151_644, 13
CONFIGS = {"v1": RELEASED_CONFIGS["base"], "v2": RELEASED_CONFIGS["v2-medium"]}
LYRIC = "[verse] Paper boats. ; [chorus] Drift away."


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vocabulary(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def v1(vocabulary: Path) -> Tokenizer:
    return Tokenizer(vocabulary, "v1")


@pytest.fixture(scope="module")
def v2(vocabulary: Path) -> Tokenizer:
    return Tokenizer(vocabulary, "v2")


def test_too_little_memory_is_told_before_the_library_ends_the_process(vocabulary: Path, monkeypatch):
    monkeypatch.setattr(module, "ENCODER_BYTES", 1 << 60)
    with pytest.raises(MemoryError):
        Tokenizer(vocabulary, "v2")


def asked(
    tokenizer: Tokenizer, lyric: str = LYRIC, style: str = "pop", prompt=None, **lengths
) -> Conditions:
    return prepare(
        lyric, conditioned(style, "v2", False), prompt, replace(CONFIGS["v2"], **lengths), tokenizer
    )


# Texts ---------------------------------------------------------------------------------------------------


def test_every_text_begins_with_the_start_token(v1, v2):
    for tokenizer in (v1, v2):
        for encode in (tokenizer.lyric, tokenizer.style):
            assert encode("").ids == [START]
            assert encode("boats").ids[0] == START
            assert len(encode("boats").ids) > 1


def test_composed_and_decomposed_letters_are_the_same(v2):
    assert v2.lyric("cafe\u0301").ids == v2.lyric("caf\u00e9").ids
    assert v2.style("cafe\u0301").ids == v2.style("caf\u00e9").ids


def test_structure_runs_from_a_tag_to_the_next(v2):
    tokens = v2.lyric("oh [verse] a ; [silence] ; [chorus] b")
    tags = {i: token for i, token in enumerate(tokens.ids) if token > 151_645}
    assert list(tags.values()) == [151_646, 151_658, 151_647]
    verse, silence, chorus = tags
    numbers = tokens.structure
    assert set(numbers[:verse]) == {0}
    assert set(numbers[verse:silence]) == {1}
    assert set(numbers[silence:chorus]) == {13}
    assert set(numbers[chorus:]) == {2}
    assert len(numbers) == len(tokens.ids)


def test_section_tags_mean_nothing_in_a_style_and_markers_nothing_in_a_lyric(v1, v2):
    assert max(v2.style("[verse] a").ids[1:]) < PAD
    assert max(v2.lyric("[Pure-Music] a").ids[1:]) < PAD
    assert v2.style("[Musicality-very-low], .").ids == [START, 151_650, 11, 220, STOP]
    assert max(v1.style("[Pure-Music] a").ids[1:]) < PAD


def test_only_v2_keeps_full_stops_apart(v1, v2):
    assert v2.lyric("...").ids == [START, STOP, STOP, STOP]
    assert len(v1.lyric("...").ids) == 2


def test_decoding_takes_back_a_lyric(v2):
    assert v2.decode(v2.lyric(LYRIC).ids[1:]) == LYRIC


@pytest.mark.parametrize("text", ["[verse] rain \ud83d", "\ude00", f"{'la ' * 99}\udfff."])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_half_a_character_is_one_sentence(text, version, v1, v2):
    tokenizer = {"v1": v1, "v2": v2}[version]
    for encode in (tokenizer.lyric, tokenizer.style):
        with pytest.raises(ValueError, match=r"^The text has half a character \(U\+D") as refusal:
            encode(text)
        assert str(refusal.value).endswith("; delete it or type it anew.")
        assert len(str(refusal.value).encode()) < 200


def test_a_long_row_of_accents_takes_no_time(v2):
    start = time.process_time()
    v2.style("a" + "\u0301\u0316" * 32_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_missing_vocabulary_is_named(tmp_path, missing):
    for name, text in (("vocab.json", '{"a": 0}'), ("merges.txt", "#version: 0.2\n")):
        if name != missing:
            (tmp_path / name).write_text(text)
    with pytest.raises(FileNotFoundError, match=missing.replace(".", r"\.")):
        Tokenizer(tmp_path, "v2")


@pytest.mark.parametrize(
    ("text", "seen"), [("a  b", "a b"), ("a   b", "a  b"), ("a    b", "a  b"), ("a b", "a b")]
)
def test_double_spaces_become_single_in_one_pass(text, seen):
    assert song_text(text) == seen


# Rows ----------------------------------------------------------------------------------------------------


def test_texts_are_padded_to_the_models_lengths(v2):
    rows = asked(v2)
    tokens = v2.lyric(LYRIC)
    assert rows.lyric.shape == rows.structure.shape == (2, 600)
    assert rows.style.shape == (2, 100)
    assert rows.lyric[0].tolist() == tokens.ids + [PAD] * (600 - len(tokens.ids))
    assert rows.structure[0].tolist() == tokens.structure + [0] * (600 - len(tokens.ids))
    assert (rows.cut_lyric, rows.cut_style) == ("", "")


def test_the_null_row_asks_for_nothing(v2):
    rows = asked(v2)
    assert rows.lyric[1].tolist() == [START] + [PAD] * 599
    assert not rows.structure[1].any()
    assert rows.style[1].tolist() == [START, 151_650, 11, 220, STOP] + [PAD] * 95
    assert (rows.prompt[1] == EMPTY).all()


def test_the_null_row_of_v1_has_no_style(v1):
    rows = prepare(LYRIC, "pop", None, CONFIGS["v1"], v1)
    assert rows.lyric.shape == (2, 300)
    assert rows.style[0, :2].tolist() != [START, PAD]
    assert rows.style[1].tolist() == [START] + [PAD] * 49


@pytest.mark.parametrize("kept", [1, 4, 9])
def test_a_lyric_that_is_too_long_is_cut_and_the_rest_told(v2, kept):
    ids = v2.lyric(LYRIC).ids
    rows = asked(v2, lyric_length=kept)
    assert rows.lyric[0].tolist() == ids[:kept]
    assert rows.structure[0].tolist() == v2.lyric(LYRIC).structure[:kept]
    assert rows.cut_lyric == v2.decode(ids[kept:])
    assert rows.cut_lyric
    assert LYRIC.endswith(rows.cut_lyric)


def test_a_lyric_that_just_fits_is_not_cut(v2):
    rows = asked(v2, lyric_length=len(v2.lyric(LYRIC).ids))
    assert rows.cut_lyric == ""
    assert PAD not in rows.lyric[0]


def test_a_style_that_is_too_long_is_cut_and_the_rest_told(v2):
    rows = asked(v2, style="pop, wistful, piano", style_length=6)
    assert rows.style[0].tolist() == v2.style("[Musicality-very-high], pop, wistful, piano").ids[:6]
    assert rows.cut_style
    assert "pop, wistful, piano".endswith(rows.cut_style)


# Style prompts -------------------------------------------------------------------------------------------


def some_prompt(frames: int = 250) -> torch.Tensor:
    return torch.arange(3 * frames).view(1, 3, frames)


def test_without_a_prompt_its_rows_are_empty(v2):
    rows = asked(v2)
    assert rows.prompt.shape == (2, 3, 251)
    assert (rows.prompt == EMPTY).all()
    assert rows.prompt_codes.numel() == 0


def test_a_prompt_follows_its_start_mark(v2):
    rows = asked(v2, prompt=some_prompt())
    assert (rows.prompt[0, :, 0] == END).all()
    assert torch.equal(rows.prompt[0, :, 1:], some_prompt()[0])
    assert (rows.prompt[1] == EMPTY).all()


def test_a_longer_prompt_counts_with_its_first_ten_seconds(v2):
    rows = asked(v2, prompt=some_prompt(251))
    assert torch.equal(rows.prompt[0, :, 1:], some_prompt(251)[0, :, :250])


@pytest.mark.parametrize("track", range(3))
def test_a_track_that_begins_empty_has_no_prompt_at_all(v2, track):
    prompt = some_prompt()
    prompt[0, track, 0] = EMPTY
    rows = asked(v2, prompt=prompt)
    assert [bool((row == EMPTY).all()) for row in rows.prompt[0]] == [k == track for k in range(3)]


def test_prompt_codes_are_the_mixed_tracks(v2):
    prompt = some_prompt()
    prompt[0, 0] = torch.tensor([7, 5, 7, EMPTY, 9]).repeat(50)
    assert asked(v2, prompt=prompt).prompt_codes.tolist() == [5, 7, 9]


def test_a_prompt_that_is_too_short_is_refused(v2):
    with pytest.raises(ValueError, match="249 frames"):
        asked(v2, prompt=some_prompt(249))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_without_files_every_byte_is_a_word_and_special_tokens_are_qwens(version: str):
    built_in = Tokenizer(None, version)
    sung = built_in.lyric("[verse] Grüße")
    assert sung.ids[0] == START
    assert sung.ids[1] == module.FIRST_TAG + TAGS.index("verse")
    assert len(sung.ids) == 2 + len(" Grüße".encode())
    assert max(sung.ids[2:]) < 256
    assert built_in.decode(sung.ids[2:]) == "Grüße"
