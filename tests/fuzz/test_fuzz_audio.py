"""Odd sounds, latents, codes, settings and token files: all that may come out is a sentence.

What is taken must be usable to the end: measured, finished, decoded in windows, read again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from support.sentences import assert_one_sentence
from torch import Tensor

from levo.audio.loudness import integrated_loudness, true_peak_db
from levo.audio.mastering import Finish, finish
from levo.audio.sound import Sound, SoundError, sound_of
from levo.config import CODES, EMPTY, RenderSettings, Sampling, SettingError
from levo.lelm.codes import CodesError, codes_of
from levo.song import token_file
from levo.song.latent_socket import latent_of, track_of
from levo.song.latents import SongLatents
from levo.song.tokens import Composer, SongRequest, SongTokens, checked_tokens, seeds_from

CHANNELS = 64
fuzz = settings(derandomize=True, database=None, deadline=None, max_examples=150)

NUMBERS = st.sampled_from(
    [
        0,
        1,
        -1,
        0.5,
        -0.0,
        nan,
        inf,
        -inf,
        1e-320,
        1e30,
        -1e300,
        2**31,
        2**63,
        2**64,
        -(2**70),
        1e-45,
        999_999_937,
    ]
)
SCALARS = st.one_of(
    NUMBERS, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just(1j)
)
DTYPES = st.sampled_from(
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int16, torch.int32, torch.int64]
    + [
        torch.uint8,
        torch.uint16,
        torch.uint32,
        torch.uint64,
        torch.bool,
        torch.complex64,
        torch.float8_e4m3fn,
    ]
)
FLOAT32 = [0.0, 0.5, -1.0, nan, inf, -inf, 1e30, 1 / 4_096, 30 / 4_096, -1 / 4_096]
FILLS = st.sampled_from([0, 0.5, -1, 1, 300, CODES - 1, CODES, EMPTY, 99_999, nan, inf, -inf, 1e30, 1e300])
FORMS = st.sampled_from(["plain", "plain", "plain", "gradients", "sparse", "meta", "numpy", "list"])


@st.composite
def tensors(draw: st.DrawFn, shapes: st.SearchStrategy[tuple[int, ...]]) -> Any:
    """A tensor of one number, with another somewhere in it, or something like a tensor."""
    dtype, shape = draw(DTYPES), draw(shapes)
    numbers = torch.full(shape, draw(FILLS), dtype=torch.float64)
    if numbers.numel():
        numbers.view(-1)[draw(st.integers(0, numbers.numel() - 1))] = draw(FILLS)
    made = numbers.to(dtype)
    form = draw(FORMS)
    if form == "gradients" and dtype.is_floating_point and dtype.itemsize > 1:
        return made.requires_grad_()
    if form == "sparse" and dtype in (torch.float32, torch.int64):
        return made.to_sparse()
    if form == "numpy":
        return numbers.numpy()
    return {"meta": lambda: made.to("meta"), "list": numbers.tolist}.get(form, lambda: made)()


def containers(entries: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A mapping of some of the entries, or what somebody took for one."""
    mapping = st.fixed_dictionaries({}, optional=entries)
    whole = st.fixed_dictionaries(entries)
    return st.one_of(
        whole, whole, whole, mapping, SCALARS, st.lists(mapping, max_size=2), *entries.values()
    )


FEW = st.integers(0, 3)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 3_000)),
    st.tuples(FEW, FEW, st.integers(0, 50)),
    st.lists(FEW, max_size=5).map(tuple),
)
RATES = st.one_of(st.sampled_from([8_000, 44_056, 48_000, 48_000.0, 192_000, 3_999, 44_100.5]), SCALARS)


@fuzz
@given(containers({"waveform": tensors(SHAPES), "sample_rate": RATES}))
def test_a_sound_is_taken_to_the_end_or_is_one_sentence(audio: Any):
    try:
        sound = sound_of(audio, "audio")
    except SoundError as error:
        assert_one_sentence(str(error))
        return
    assert isinstance(sound, Sound)
    assert sound.waveform.ndim == 3
    for song in sound.waveform:
        assert isfinite(integrated_loudness(song, sound.rate))
        assert isfinite(true_peak_db(song))
    settings = Finish(silence=-60, fade=0.01, loudness=-14, ceiling=-1)
    made = finish(sound.waveform, sound.rate, settings, [True] * len(sound.waveform))
    assert len(made) == len(sound.waveform)


LATENT_SHAPES = st.one_of(
    st.tuples(st.integers(1, 2), st.sampled_from([CHANNELS, 2 * CHANNELS]), st.integers(1, 40)),
    SHAPES,
)
CONTEXTS = st.one_of(
    SCALARS, st.builds(lambda n: SongLatents(torch.zeros(1, CHANNELS, n), torch.zeros(1, CHANNELS, 2)), FEW)
)


@fuzz
@given(containers({"samples": tensors(LATENT_SHAPES), "levo": CONTEXTS}))
def test_latents_are_taken_to_the_end_or_are_one_sentence(latent: Any):
    try:
        track = track_of(latent, CHANNELS, "LeVo Decode")
    except ValueError as error:
        assert_one_sentence(str(error))
        assert str(error).startswith("LeVo Decode ")
        return
    parts = [track] if isinstance(track, SongLatents) else [track.mix, track.vocals]
    for part in parts:
        assert part.samples.isfinite().all()
        assert part.spans()[0][0] == 0
        assert part.spans()[-1][1] == part.samples.shape[2] + part.tail.shape[2]


@fuzz
@given(st.integers(1, 40), st.integers(0, 8), st.data())
def test_saved_latents_that_were_damaged_are_taken_or_are_one_sentence(
    frames: int, tail: int, data: st.DataObject
):
    latents = SongLatents(torch.randn(1, 64, frames), torch.randn(1, 64, tail), 250)
    saved = latent_of(latents)["samples"].contiguous()
    for _ in range(data.draw(st.integers(1, 4))):
        channel = data.draw(st.integers(0, 20))
        saved[0, channel, data.draw(st.integers(0, saved.shape[2] - 1))] = data.draw(
            st.sampled_from(FLOAT32)
        )
    try:
        track = track_of({"samples": saved[..., data.draw(FEW) :]}, 64, "LeVo Decode")
    except ValueError as error:
        assert_one_sentence(str(error))
        return
    assert track.spans()


CODE_SHAPES = st.one_of(st.tuples(st.integers(1, 2), st.just(3), st.integers(1, 20)), SHAPES)
REQUEST, COMPOSER = SongRequest("[verse] la.", "pop", False), Composer("x", "v2", "")


@fuzz
@given(
    st.one_of(st.just(torch.zeros(1, 3, 20).long()), SCALARS, tensors(CODE_SHAPES)),
    st.lists(st.one_of(st.integers(1, 20), SCALARS), max_size=3).map(tuple),
)
def test_codes_are_taken_or_are_one_sentence(codes: Any, lengths: tuple[Any, ...]):
    tokens = SongTokens(codes, lengths, lengths, lengths, REQUEST, Sampling(), COMPOSER)
    for check in (
        lambda: codes_of(codes, "The style"),
        lambda: checked_tokens(tokens, "LeVo Render").codes,
    ):
        try:
            taken = check()
        except CodesError as error:
            assert_one_sentence(str(error))
            continue
        assert taken.dtype == torch.int64
        assert ((taken >= 0) & (taken <= EMPTY) & (taken != CODES)).all()


@fuzz
@given(
    st.dictionaries(st.sampled_from(list(asdict(Sampling()))), SCALARS, max_size=3),
    SCALARS,
    SCALARS,
    SCALARS,
)
def test_settings_are_taken_or_are_one_sentence(sampling: dict[str, Any], a: Any, b: Any, c: Any):
    for make in (
        lambda: Sampling(**sampling),
        lambda: RenderSettings("mix", a, b),
        lambda: Finish(silence=a, fade=b, loudness=c),
        lambda: seeds_from(a, 1),
    ):
        try:
            make()
        except SettingError as error:
            assert_one_sentence(str(error))


JSON = st.recursive(
    st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=5)),
    lambda some: st.one_of(
        st.lists(some, max_size=2), st.dictionaries(st.text(max_size=3), some, max_size=2)
    ),
    max_leaves=4,
)
NAMES = ["lyrics", "tags", "instrumental", "takes", "sampling", "composer"]


def described() -> dict[str, Any]:
    return {
        "lyrics": "[verse] la.",
        "tags": "pop",
        "instrumental": False,
        "takes": [{"frames": 10, "seed": 1, "ended": True}],
        "sampling": asdict(Sampling()),
        "composer": asdict(COMPOSER),
    }


def file_codes(codes: Any) -> dict[str, Tensor]:
    plain = isinstance(codes, Tensor) and codes.layout == torch.strided and not codes.is_meta
    return {"codes": codes.detach().contiguous()} if plain else {}


@fuzz
@given(
    tensors(st.one_of(st.just((1, 3, 10)), st.just((1, 3, 10)), CODE_SHAPES)),
    st.dictionaries(st.sampled_from(NAMES), JSON, max_size=2),
    st.dictionaries(st.sampled_from(["frames", "seed", "ended"]), JSON, max_size=1),
    st.dictionaries(st.sampled_from(list(asdict(Sampling()))), JSON, max_size=1),
)
def test_a_tokens_file_is_read_or_is_told_to_be_damaged(
    folder: Path, codes: Any, changes: dict[str, Any], take: dict[str, Any], sampling: dict[str, Any]
):
    said = described()
    said["takes"][0] |= take
    said["sampling"] |= sampling
    metadata = {"levo.part": "song tokens", "levo.format": "1", "levo.song": json.dumps(said | changes)}
    path = folder / "x.safetensors"
    save_file(file_codes(codes), path, metadata)
    try:
        tokens = token_file.load(path)
    except token_file.TokenFileError as error:
        assert str(error).startswith("x.safetensors is damaged (")
        return
    assert torch.equal(checked_tokens(tokens, "LeVo Render").codes, tokens.codes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")
