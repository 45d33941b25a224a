"""Codes and settings are looked at before anything runs: what is none is one sentence."""

from __future__ import annotations

from dataclasses import fields, replace
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import torch
from support.sentences import assert_one_sentence
from torch import Tensor

from levo.config import CODES, EMPTY, RenderSettings, Sampling, SettingError, require_number
from levo.lelm.codes import CodesError, codes_of
from levo.song import token_file
from levo.song.render import seeded_noise
from levo.song.tokens import Composer, SongRequest, SongTokens, checked_request, checked_tokens, seeds_from
from levo.tiny import RENDERER

GOOD = torch.arange(30).view(1, 3, 10)
REQUEST = SongRequest("[verse] la.", "pop", False)


def with_one(value: int, dtype: torch.dtype = torch.int64) -> Tensor:
    codes = GOOD.to(dtype, copy=True)
    codes[0, 1, 4] = value
    return codes


TAKEN = {
    "int64": GOOD,
    "int32": GOOD.int(),
    "int16": GOOD.short(),
    "uint8": GOOD.byte(),
    "first and last code": with_one(CODES - 1),
    "none sung": with_one(EMPTY),
    "a view": GOOD.transpose(0, 2).contiguous().transpose(0, 2),
    "several": GOOD.repeat(4, 1, 1),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "-1": (with_one(-1), "such as -1"),
    "the end's": (with_one(CODES), "such as 16384"),
    "99999": (with_one(99_999), "such as 99999"),
    "far below": (with_one(-(1 << 62)), "no codes"),
    "-1 in int16": (with_one(-1, torch.int16), "such as -1"),
    "floats": (GOOD.float(), "float32"),
    "NaN": (GOOD * nan, "float32"),
    "uint16": (GOOD.to(torch.uint16), "uint16"),
    "uint32": (GOOD.to(torch.uint32), "uint32"),
    "uint64": (GOOD.to(torch.uint64), "uint64"),
    "bool": (GOOD > 3, "bool"),
    "complex": (GOOD.to(torch.complex64), "complex64"),
    "sparse": (GOOD.to_sparse(), "no plain tensor"),
    "on meta": (GOOD.to("meta"), "no plain tensor"),
    "two streams": (GOOD[:, :2], "shape [1, 2, 10]"),
    "2-D": (GOOD[0], "shape [3, 10]"),
    "4-D": (GOOD[None], "shape [1, 1, 3, 10]"),
    "no frames": (GOOD[..., :0], "shape [1, 3, 0]"),
    "no takes": (GOOD[:0], "shape [0, 3, 10]"),
    "None": (None, "no tensor but nothing"),
    "list": (GOOD.tolist(), "list"),
    "numpy": (GOOD.numpy(), "ndarray"),
}


def song(codes: Any = GOOD, **changes: Any) -> SongTokens:
    count = len(codes) if isinstance(codes, Tensor) and codes.ndim else 1
    tokens = SongTokens(
        codes, (10,) * count, (1,) * count, (True,) * count, REQUEST, Sampling(), Composer("x", "v2", "")
    )
    return replace(tokens, **changes)


@pytest.mark.parametrize("codes", TAKEN.values(), ids=TAKEN.keys())
def test_codes_of_every_kind_are_taken(codes: Tensor):
    taken = codes_of(codes, "The song")
    assert taken.dtype == torch.int64
    assert torch.equal(taken, codes.long())


@pytest.mark.parametrize(("codes", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_are_no_codes_is_one_sentence(codes: Any, why: str):
    for check in (lambda: codes_of(codes, "The song"), lambda: checked_tokens(song(codes), "LeVo Render")):
        with pytest.raises(CodesError) as error:
            check()
        assert_one_sentence(str(error.value))
        assert why in str(error.value)


def test_tokens_come_through_as_they_are_with_what_was_sung_last():
    codes = torch.cat((GOOD, GOOD))
    codes[1, :, 6:] = EMPTY
    tokens = song(codes, lengths=(10, 6))
    assert torch.equal(checked_tokens(tokens, "LeVo Render").codes, codes)


UNFIT = {
    "a frame without a code": song(with_one(EMPTY)),
    "longer than its codes": song(lengths=(11,)),
    "no frames": song(lengths=(0,)),
    "below none": song(lengths=(-3,)),
    "lengths of other takes": song(lengths=(10, 10)),
    "seeds of other takes": song(seeds=(1, 2)),
    "ends of other takes": song(ended=()),
    **{
        f"{name} {value!r}": song(**{name: value})
        for name in ("lengths", "seeds", "ended")
        for value in (None, 10, "a", [None], ("10",), (1.5,), {10: 1}, torch.tensor([10]))
    },
    **{f"seed {seed!r}": song(seeds=(seed,)) for seed in (True, 1.0, None)},
    "an end that is a number": song(ended=(1,)),
    **{
        f"{name} {value!r}": song(**{name: value})
        for name in ("request", "sampling", "composer")
        for value in (None, "v2", {}, Composer, [REQUEST])
    },
    "no lyrics": song(request=replace(REQUEST, lyrics=None)),
    "tags that are a list": song(request=replace(REQUEST, tags=["pop"])),
    "an instrumental that is a number": song(request=replace(REQUEST, instrumental=1)),
    "a composer without a version": song(composer=Composer("x", None, "")),
    "None": None,
    "a list": [song()],
    "a request": REQUEST,
    "text": "tokens",
}


@pytest.mark.parametrize("tokens", UNFIT.values(), ids=UNFIT.keys())
def test_tokens_that_cannot_be_are_one_sentence(tokens: Any):
    with pytest.raises(CodesError, match="LeVo Render") as error:
        checked_tokens(tokens, "LeVo Render")
    assert_one_sentence(str(error.value))


@pytest.mark.parametrize("tokens", UNFIT.values(), ids=UNFIT.keys())
def test_tokens_that_cannot_be_are_not_saved(tmp_path: Path, tokens: Any):
    with pytest.raises(CodesError, match="LeVo Save Tokens"):
        token_file.save(tmp_path / "x.safetensors", tokens)
    assert not list(tmp_path.iterdir())


def test_takes_may_be_told_in_lists():
    checked_tokens(song(lengths=[10], seeds=[1], ended=[True]), "LeVo Render")


@pytest.mark.parametrize(
    "request_",
    [None, [REQUEST], "lyrics", 3, song(), replace(REQUEST, lyrics=None), replace(REQUEST, tags=3)],
    ids=str,
)
def test_a_conditioning_that_is_none_is_one_sentence(request_: Any):
    assert checked_request(REQUEST, "LeVo Compose") is REQUEST
    with pytest.raises(ValueError, match="LeVo Compose needs a conditioning") as error:
        checked_request(request_, "LeVo Compose")
    assert_one_sentence(str(error.value))


@pytest.mark.parametrize(
    "codes", [with_one(-1), with_one(99_999), GOOD.float()], ids=["-1", "99999", "float"]
)
def test_what_are_no_codes_is_not_saved(tmp_path: Path, codes: Tensor):
    styled = replace(REQUEST, style=codes.expand(1, 3, -1).repeat(1, 1, 25))
    for tokens in (song(codes), song(request=styled)):
        with pytest.raises(CodesError) as error:
            token_file.save(tmp_path / "x.safetensors", tokens)
        assert_one_sentence(str(error.value))
        assert not list(tmp_path.iterdir())


# Settings ------------------------------------------------------------------------------------------------

ODD = [nan, inf, -inf, 1e30, -1e30, None, "1", [1], True, 1j]
BAD_SETTINGS = [
    *((field.name, value) for field in fields(Sampling) for value in ODD),
    ("temperature", 1e-320),
    ("temperature", 1e-40),
    ("temperature", -0.5),
    ("top_k", 0),
    ("top_k", -1),
    ("top_k", 50.0),
    ("top_p", -0.1),
    ("top_p", 1.1),
    ("repetition_window", -1),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS, ids=lambda value: repr(value))
def test_a_setting_that_nothing_can_be_drawn_with_is_one_sentence(name: str, value: Any):
    with pytest.raises(SettingError, match=name) as error:
        Sampling(**{name: value})
    assert_one_sentence(str(error.value))


@pytest.mark.parametrize(
    "settings",
    [
        {"guidance": 0.0, "temperature": 0.0, "top_k": 1, "top_p": 0.0, "repetition_window": 0},
        {"guidance": 10, "temperature": 2, "top_k": 16_385, "top_p": 1, "repetition_window": 1_000},
        {"temperature": 0.001, "guidance": 1.5},
    ],
)
def test_all_that_a_node_offers_can_be_set(settings: dict[str, float]):
    assert Sampling(**settings).guidance == settings["guidance"]


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("steps", value) for value in [*ODD, 0, -5, 2.5]), *(("guidance", value) for value in ODD)],
    ids=repr,
)
def test_a_song_cannot_be_rendered_with_odd_settings(name: str, value: Any):
    with pytest.raises(SettingError, match=name) as error:
        RenderSettings(**{name: value})
    assert_one_sentence(str(error.value))


@pytest.mark.parametrize("seed", [1.5, nan, None, "7", 1 << 64, -(1 << 63) - 1, True], ids=repr)
def test_a_seed_that_is_none_is_one_sentence(seed: Any):
    for use in (lambda: seeds_from(seed, 1), lambda: seeded_noise(seed, 1, RENDERER)):
        with pytest.raises(SettingError, match="seed") as error:
            use()
        assert_one_sentence(str(error.value))


@pytest.mark.parametrize("count", [0, -1, 1.0, None, 1 << 40], ids=repr)
def test_a_number_of_takes_that_cannot_be_is_one_sentence(count: Any):
    with pytest.raises(SettingError, match="takes"):
        seeds_from(1, count)


def test_a_number_is_told_with_its_bounds():
    with pytest.raises(SettingError, match="^The length is nan; set it to a number from 0 to 36,000\\.$"):
        require_number("length", nan, 0, 36_000)
    with pytest.raises(SettingError, match="is of type list; set it to a whole number from 1 to 3"):
        require_number("length", [1] * 1_000, 1, 3, whole=True)
