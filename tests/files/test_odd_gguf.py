"""GGUF files that are cut, foreign or made to harm: one sentence each, in time, and no list is lost."""

from __future__ import annotations

import builtins
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import gguf_files, gguf_models
from support.odd_gguf import BROKEN, FOREIGN
from support.sentences import assert_one_sentence

from levo import tiny
from levo.files import gguf_header, parts
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.files.listing import Listing
from levo.files.tensor_file import CheckpointError
from levo.kinds import MODELS, Kind
from levo.vae.oobleck import Vae

SECONDS = 3.0


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small file of the VAE's decoder."""
    return gguf_models.write_vae(tmp_path_factory.mktemp("vae") / "vae.gguf", "F16").path.read_bytes()


def refused(path: Path, kind: Kind = Kind.VAE) -> str:
    """The sentence with which a file is refused, before anything is built or when it is loaded."""
    with pytest.raises(CheckpointError) as error:
        file = open_checkpoint(path)
        config = fitting_config(file, kind)
        model, layout = {
            Kind.VAE: (partial(Vae, encodes=False), gguf_models.DECODER_LAYOUT),
            Kind.RENDERER: (gguf_models.Renderer, gguf_models.released.renderer_layout),
            Kind.LELM: (gguf_models.LeLM, gguf_models.released.lelm_layout),
        }[kind]
        file.load_into(model(config, device="meta"), layout(config), "cpu")
    assert_one_sentence(str(error.value))
    return str(error.value)


# Broken files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", BROKEN)
@pytest.mark.parametrize("name", ["my vae.gguf", "x.safetensors"])
def test_a_broken_file_is_told_in_time_and_hides_no_other(tmp_path: Path, vae: bytes, odd: str, name: str):
    path = tmp_path / name
    path.write_bytes(BROKEN[odd])
    (tmp_path / "whole.gguf").write_bytes(vae)
    started = time.process_time()
    found = {file.path.name: file.part for file in Listing().files([tmp_path])}
    assert time.process_time() - started < SECONDS
    assert found["whole.gguf"] == parts.Part(Kind.VAE, "VAE decoder F16", len(vae))
    sentence = refused(path)
    assert f"{tmp_path.name}/{name} " in sentence
    assert parts.damage_of(path) == sentence
    if name.endswith(".gguf"):  # offered by what is left of it, or by its name
        assert found[name] == parts.Part(Kind.VAE, f"damaged {tmp_path.name}/{name}", len(BROKEN[odd]))


@pytest.mark.parametrize("odd", FOREIGN)
def test_a_file_of_others_is_passed_over_and_refused_where_it_is_chosen(tmp_path: Path, odd: str):
    (tmp_path / "levo.gguf").write_bytes(FOREIGN[odd])
    (found,) = Listing().files([tmp_path])
    assert found.part is None
    for kind in MODELS:
        with pytest.raises(CheckpointError) as error:
            open_checkpoint(found.path).config(kind)
        assert_one_sentence(str(error.value))
        assert len(str(error.value)) < 400


@pytest.mark.parametrize("kind", [Kind.LELM, Kind.RENDERER])
def test_another_kind_is_named(tmp_path: Path, vae: bytes, kind: Kind):
    (tmp_path / "x.gguf").write_bytes(vae)
    assert refused(tmp_path / "x.gguf", kind) == (
        f"{tmp_path.name}/x.gguf is a VAE; choose a file that holds a {kind}."
    )


def test_a_file_that_is_cut_anywhere_is_told(tmp_path: Path, vae: bytes):
    path = tmp_path / "my.gguf"
    for length in [*range(1, 2_000, 37), *range(2_000, len(vae), 40_000), len(vae) - 33]:
        path.write_bytes(vae[:length])
        assert "download it again" in refused(path)
        (found,) = Listing().files([tmp_path])
        left = length > 60  # what it is
        assert (found.part and found.part.kind) == (Kind.VAE if left else None)
        if length > 20_000:  # and what it was called
            assert found.part and found.part.whole_name == "VAE decoder F16"


def test_any_byte_of_the_header_may_be_another(tmp_path: Path, vae: bytes):
    path = tmp_path / "my.gguf"
    for place in range(0, 9_000, 41):
        changed = bytearray(vae)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        Listing().files([tmp_path])
        try:
            fitting_config(open_checkpoint(path), Kind.VAE)
        except CheckpointError as error:
            assert_one_sentence(str(error))


@pytest.mark.parametrize("odd", ["a folder", "a pipe", "a link to nowhere"])
def test_what_is_no_file_is_told(tmp_path: Path, odd: str):
    path = tmp_path / "vae.gguf"
    {
        "a folder": lambda: path.mkdir(),
        "a pipe": lambda: os.mkfifo(path),
        "a link to nowhere": lambda: path.symlink_to(tmp_path / "gone"),
    }[odd]()
    Listing().files([tmp_path])
    refused(path)


def test_a_type_that_is_not_read_is_named(tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(BROKEN["a type that is not read"])
    assert refused(tmp_path / "x.gguf") == (
        f"{tmp_path.name}/x.gguf holds numbers as IQ4_NL, and F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K are "
        "read; download one of those."
    )


# Tensors -------------------------------------------------------------------------------------------------

Change = Callable[[dict[str, np.ndarray]], object]
TENSORS: dict[str, tuple[Change, str]] = {
    "one is missing": (lambda t: t.pop("vae.decoder.output.weight"), "missing: vae.decoder.output.weight"),
    "one is unknown": (lambda t: t.update({"vae.encoder.x": np.zeros(4)}), "unexpected: vae.encoder.x"),
    "one is of another shape": (
        lambda t: t.update({"vae.decoder.output.alpha_log": np.zeros(5)}),
        "wrong in shape: vae.decoder.output.alpha_log [5]",
    ),
    "one is nothing": (
        lambda t: t["vae.decoder.input.bias"].__setitem__(0, np.nan),
        "vae.decoder.input.bias holds numbers that are none",
    ),
}


@pytest.mark.parametrize("odd", TENSORS)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, odd: str):
    change, words = TENSORS[odd]
    arrays = gguf_models.arrays_of(gguf_models.write_vae)
    change(arrays)
    path = tmp_path / "vae.gguf"
    gguf_files.write(path, "levo2_vae", gguf_files.vae_values(tiny.VAE), arrays, gguf_files.profile("F32"))
    assert words in refused(path)


@pytest.fixture(scope="module")
def packed_lelm(tmp_path_factory: pytest.TempPathFactory) -> gguf_models.Written:
    return gguf_models.write_lelm(tmp_path_factory.mktemp("lelm") / "x.gguf", "Q8_0")


@pytest.mark.parametrize(("scale", "words"), [(np.inf, "numbers that are none"), (1e3, None)])
def test_packed_numbers_are_looked_at_too(
    tmp_path: Path, packed_lelm: gguf_models.Written, scale: float, words: str | None
):
    file = replace(packed_lelm, path=Path(shutil.copy(packed_lelm.path, tmp_path)))
    place = gguf_header.read_header(file.path).tensors["main.blk.0.ffn_down.weight"].start
    content = bytearray(file.path.read_bytes())
    content[place : place + 2] = np.float16(scale).tobytes()
    file.path.write_bytes(content)
    for dtype in (torch.float32, torch.float16):
        model = file.model(device="meta", dtype=dtype)
        reason = words or (dtype == torch.float16 and "too large for fp16")
        if not reason:
            open_checkpoint(file.path).load_into(model, file.layout, "cpu")
            continue
        with pytest.raises(CheckpointError, match=f"main.blk.0.ffn_down.weight holds .*{reason}"):
            open_checkpoint(file.path).load_into(model, file.layout, "cpu")


def test_padding_of_the_flow_is_less_than_a_block(tmp_path: Path):
    arrays = gguf_models.arrays_of(gguf_models.write_flow)
    name = "flow.block.0.attn.out.weight"
    arrays[name] = np.pad(arrays[name], ((0, 0), (0, 256)))
    path, values = tmp_path / "flow.gguf", gguf_files.flow_values(tiny.RENDERER)
    gguf_files.write(path, "levo2_flow", values, arrays, gguf_files.profile("F32"))
    assert f"wrong in shape: {name} [200, 456]" in refused(path, Kind.RENDERER)


# Metadata ------------------------------------------------------------------------------------------------

LELM_VALUES = gguf_files.lelm_values(gguf_models.FLOAT_LELM)
ABSURD: dict[str, Mapping[str, Any]] = {
    "no layers": {"levo2.main.block_count": 0},
    "a billion layers": {"levo2.main.block_count": 1_000_000_000},
    "a width of 2**31": {"levo2.embedding_length": 2**31},
    "heads that do not divide": {"levo2.attention.head_count": 3, "levo2.attention.kv_head_count": 3},
    "fewer heads of keys": {"levo2.attention.kv_head_count": 1},
    "a width that is a text": {"levo2.embedding_length": "1536"},
    "a width that is a list": {"levo2.embedding_length": [1536]},
    "a width that is a fraction": {"levo2.embedding_length": 32.5},
    "layers that are true": {"levo2.detail.block_count": True},
    "a rope of nothing": {"levo2.main.rope_theta": float("nan")},
    "a rope without end": {"levo2.detail.rope_theta": float("inf")},
    "two delays": {"levo2.pattern.delays": [0, 250]},
    "delays beyond sense": {"levo2.pattern.delays": [0, 250, 2**30]},
    "delays that are a number": {"levo2.pattern.delays": 250},
    "another codebook": {"levo2.codebook.size": 1024},
    "a codebook of one code more": {"levo2.codebook.size": 16_385},
    "an end that is no end": {"levo2.token.eos_id": 16_385},
    "four codebooks": {"levo2.codebook.count": 4},
    "another rate": {"levo2.audio.sample_rate": 44_100},
    "another rate of frames": {"levo2.audio.frame_rate": 50},
    "another prompt": {"levo2.condition.prompt_prefix_length": 500},
    "lyrics beyond sense": {"levo2.condition.lyrics_prefix_length": 2**31},
    "no room for a song": {"levo2.context_length": 100},
    "another norm": {"levo2.rms_norm_epsilon": 0.1},
    "another schema": {"levo2.schema_version": 2},
    "more layers than there are": {"levo2.main.block_count": 3},
    "more width than there is": {"levo2.embedding_length": 64},
}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return gguf_models.arrays_of(gguf_models.write_lelm)


@pytest.mark.parametrize("odd", ABSURD)
def test_absurd_metadata_are_told_before_anything_is_built(tmp_path: Path, arrays, odd: str):
    path = tmp_path / "levo.gguf"
    gguf_files.write(path, "levo2", {**LELM_VALUES, **ABSURD[odd]}, arrays, gguf_files.profile("F16"))
    (found,) = Listing().files([tmp_path])
    assert found.part and found.part.kind == Kind.LELM
    started = time.process_time()
    with pytest.raises(CheckpointError) as error:
        fitting_config(open_checkpoint(path), Kind.LELM)
    assert time.process_time() - started < SECONDS
    assert_one_sentence(str(error.value))
    assert f"{tmp_path.name}/levo.gguf " in str(error.value)


@pytest.mark.parametrize("key", ["embedding_length", "main.block_count", "attention.head_count"])
def test_a_size_that_is_not_said_is_named(tmp_path: Path, arrays, key: str):
    values = {name: value for name, value in LELM_VALUES.items() if name != f"levo2.{key}"}
    gguf_files.write(tmp_path / "levo.gguf", "levo2", values, arrays, gguf_files.profile("F16"))
    with pytest.raises(CheckpointError, match=rf"has broken metadata \(no {key}\); [^.]*\.$"):
        fitting_config(open_checkpoint(tmp_path / "levo.gguf"), Kind.LELM)


@pytest.mark.parametrize(
    ("key", "value"),
    [("n_layer", 5), ("n_head", 0), ("hidden_size", 64), ("codebook_dim", 2**31), ("rope_theta", 5.0)],
)
def test_absurd_metadata_of_the_flow_are_told(tmp_path: Path, key: str, value: Any):
    values = {**gguf_files.flow_values(tiny.RENDERER), f"levo2.flow.{key}": value}
    path = tmp_path / "flow.gguf"
    gguf_files.write(
        path, "levo2_flow", values, gguf_models.arrays_of(gguf_models.write_flow), gguf_files.profile("F32")
    )
    refused(path, Kind.RENDERER)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strides", [2, 4]),
        ("channels", 9),
        ("final_tanh", True),
        ("latent_dim", 8),
        ("sample_rate", 44_100),
    ],
)
def test_absurd_metadata_of_the_vae_are_told(tmp_path: Path, key: str, value: Any):
    values = {**gguf_files.vae_values(tiny.VAE), f"levo2.vae.{key}": value}
    path = tmp_path / "vae.gguf"
    gguf_files.write(
        path, "levo2_vae", values, gguf_models.arrays_of(gguf_models.write_vae), gguf_files.profile("F32")
    )
    refused(path)


# The package ---------------------------------------------------------------------------------------------


def test_without_the_package_files_are_listed_and_the_sentence_says_what_to_install(
    tmp_path: Path, packed_lelm: gguf_models.Written, monkeypatch: pytest.MonkeyPatch
):
    path = Path(shutil.copy(packed_lelm.path, tmp_path))
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "gguf":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "gguf")
    monkeypatch.setattr(builtins, "__import__", without)
    (found,) = Listing().files([tmp_path])
    assert found.part and found.part.kind == Kind.LELM
    assert "pip install gguf" in refused(path, Kind.LELM)
