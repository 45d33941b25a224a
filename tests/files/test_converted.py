"""Our own weight files: what goes in comes out, bit by bit, and nothing is ever half written."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support import checkpoints
from support.released import released_tensors
from support.small_models import SMALL_LELM, SMALL_VAE
from torch import nn

from levo import tiny
from levo.files import converted, released
from levo.files.converted import Provenance
from levo.files.released import Layout
from levo.files.tensor_file import CheckpointError, inventory, read
from levo.kinds import Kind
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

ORIGIN = Provenance("SongGeneration-v2-medium/model.pt", "ab" * 32)
MODELS = {
    Kind.LELM: (
        partial(LeLM, SMALL_LELM),
        SMALL_LELM,
        released.lelm_layout(SMALL_LELM),
        checkpoints.lelm_config,
    ),
    Kind.RENDERER: (
        partial(Renderer, tiny.RENDERER),
        tiny.RENDERER,
        released.renderer_layout(tiny.RENDERER),
        checkpoints.renderer_config,
    ),
    Kind.VAE: (partial(Vae, SMALL_VAE), SMALL_VAE, released.vae_layout(SMALL_VAE), checkpoints.vae_config),
}
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def filled(kind: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    model = MODELS[kind][0](dtype=dtype)
    tiny.init_weights(model)
    return model


def written(path: Path, kind: str, model: nn.Module, dtype: torch.dtype | None = None) -> Path:
    converted.save(path, model, kind, MODELS[kind][1], ORIGIN, dtype, lambda done, total: None)
    return path


def layout_of(kind: str) -> Layout:
    return MODELS[kind][2]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", MODELS)
def test_a_round_trip_in_one_dtype_is_bit_identical(tmp_path: Path, kind: str, dtype: torch.dtype):
    model = filled(kind, dtype)
    path = written(tmp_path / "part.safetensors", kind, model, dtype)
    loaded = MODELS[kind][0](dtype=dtype)
    checkpoints.load_weights(loaded, path, layout_of(kind))
    assert_same(loaded, model)


@pytest.mark.parametrize("kind", MODELS)
def test_a_released_file_and_its_conversion_load_to_the_same(tmp_path: Path, kind: str):
    build, config, layout, config_of = MODELS[kind]
    torch.save(released_tensors(build(device="meta"), layout), tmp_path / "model.pt")
    one, other = build(dtype=torch.bfloat16), build(dtype=torch.bfloat16)
    checkpoints.load_weights(one, tmp_path / "model.pt", layout)
    path = written(tmp_path / "new" / "part.safetensors", kind, one)
    assert config_of(path) == config
    checkpoints.load_weights(other, path, layout)
    assert_same(other, one)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_of_another_dtype_is_cast_as_torch_casts(tmp_path: Path, dtype: torch.dtype):
    model = filled(Kind.VAE)
    path = written(tmp_path / "vae.safetensors", Kind.VAE, model, torch.bfloat16)
    loaded = Vae(SMALL_VAE, dtype=dtype)
    checkpoints.load_weights(loaded, path, layout_of(Kind.VAE))
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].bfloat16().to(dtype))


def test_numbers_of_the_same_dtype_stay_in_the_file(tmp_path: Path):
    path = written(tmp_path / "vae.safetensors", Kind.VAE, filled(Kind.VAE))
    loaded = Vae(SMALL_VAE)
    own = {name: tensor.data_ptr() for name, tensor in loaded.state_dict().items()}
    checkpoints.load_weights(loaded, path, layout_of(Kind.VAE))
    files = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    assert str(path) in files
    assert all(tensor.data_ptr() != own[name] for name, tensor in loaded.state_dict().items())


def test_a_change_of_a_mapped_model_does_not_reach_the_file(tmp_path: Path):
    path = written(tmp_path / "vae.safetensors", Kind.VAE, filled(Kind.VAE))
    before = path.read_bytes()
    loaded = Vae(SMALL_VAE)
    checkpoints.load_weights(loaded, path, layout_of(Kind.VAE))
    with torch.no_grad():
        loaded.decoder.first.weight.add_(1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", MODELS)
def test_the_file_says_what_it_is_and_where_it_came_from(tmp_path: Path, kind: str):
    path = written(tmp_path / "part.safetensors", kind, filled(kind), torch.float16)
    with safe_open(path, framework="pt") as file:  # safetensors' own reader
        metadata = file.metadata()
        kept = (
            {"F32"} if kind == Kind.RENDERER else set()
        )  # see `test_matrices_alone_are_of_the_models_dtype`
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"} | kept  # noqa: SIM118
        assert set(file.keys()) == set(filled(kind).state_dict())
    assert metadata["levo.part"] == kind
    assert metadata["levo.source"] == ORIGIN.source
    assert metadata["levo.source_sha256"] == ORIGIN.sha256
    assert "research" in metadata["levo.licence"]
    assert converted.provenance_in(inventory(path)) == ORIGIN
    config = dataclasses.asdict(MODELS[kind][1])
    assert json.loads(metadata["levo.config"]) == json.loads(json.dumps(config))
    assert MODELS[kind][3](path) == MODELS[kind][1]


def test_tensors_are_aligned_in_the_file(tmp_path: Path):
    path = written(tmp_path / "lelm.safetensors", Kind.LELM, filled(Kind.LELM))
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert header % 8 == 0
    assert all(tensor.data_ptr() % tensor.element_size() == 0 for tensor in read(path).values())


def test_writing_holds_no_copy_of_the_whole(tmp_path: Path):
    config = dataclasses.replace(SMALL_VAE, channels=32)
    model = Vae(config)
    tiny.init_weights(model)
    total = sum(p.nbytes for p in model.parameters())
    tracemalloc.start()
    peaks = []

    def on_step(done: int, _total: int) -> None:
        peaks.append(tracemalloc.get_traced_memory()[1])

    converted.save(tmp_path / "x.safetensors", model, Kind.VAE, config, ORIGIN, torch.float32, on_step)
    tracemalloc.stop()
    assert max(peaks) < total / 10
    assert read(tmp_path / "x.safetensors").keys() == model.state_dict().keys()


# Never half written --------------------------------------------------------------------------------------


def test_progress_counts_the_bytes_of_tensors_up_to_all(tmp_path: Path):
    steps = []
    model = filled(Kind.VAE)
    converted.save(tmp_path / "x.safetensors", model, Kind.VAE, SMALL_VAE, ORIGIN, torch.bfloat16,
                   lambda *step: steps.append(step))  # fmt: skip
    total = 2 * sum(p.numel() for p in model.parameters())
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert {whole for _, whole in steps} == {total}
    assert steps[-1] == (total, total)


class Cancelled(Exception):
    """As ComfyUI interrupts."""


def test_a_cancelled_write_leaves_nothing(tmp_path: Path):
    def on_step(done: int, total: int) -> None:
        if done > total / 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        converted.save(
            tmp_path / "x.safetensors", filled(Kind.VAE), Kind.VAE, SMALL_VAE, ORIGIN, None, on_step
        )
    assert list(tmp_path.iterdir()) == []


def test_a_number_too_large_for_fp16_is_refused_and_leaves_nothing(tmp_path: Path):
    model = filled(Kind.VAE)
    with torch.no_grad():
        model.decoder.first.bias[0] = 70_000
    with pytest.raises(CheckpointError) as error:
        written(tmp_path / "x.safetensors", Kind.VAE, model, torch.float16)
    assert str(error.value) == ("decoder.first.bias holds numbers too large for fp16; choose bf16 or fp32.")
    assert list(tmp_path.iterdir()) == []
    written(tmp_path / "x.safetensors", Kind.VAE, model, torch.bfloat16)


# Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("needed", MODELS)
def test_the_part_in_the_file_is_named_where_another_is_wanted(tmp_path: Path, kind: str, needed: str):
    path = written(tmp_path / "part.safetensors", kind, filled(kind))
    if kind == needed:
        return
    with pytest.raises(CheckpointError) as error:
        MODELS[needed][3](path)
    assert str(error.value) == (
        f"{tmp_path.name}/part.safetensors holds a {kind}; choose a file that holds a {needed}."
    )


def rewritten(path: Path, **changes: str) -> Path:
    metadata = inventory(path).metadata | {f"levo.{key}": value for key, value in changes.items()}
    tensors = {name: tensor.clone() for name, tensor in read(path).items()}
    save_file(tensors, path, metadata)
    return path


def test_a_later_format_asks_for_an_update(tmp_path: Path):
    path = rewritten(written(tmp_path / "part.safetensors", Kind.VAE, filled(Kind.VAE)), format="2")
    with pytest.raises(CheckpointError, match=r"has format 2, and this version .* reads 1; update it\.$"):
        checkpoints.vae_config(path)


@pytest.mark.parametrize("config", ["", "[]", "3", '{"loudness": 3}', '{"channels": '])
def test_a_broken_config_is_said(tmp_path: Path, config: str):
    path = rewritten(written(tmp_path / "part.safetensors", Kind.VAE, filled(Kind.VAE)), config=config)
    with pytest.raises(CheckpointError) as error:
        checkpoints.vae_config(path)
    assert (
        str(error.value)
        == f"{tmp_path.name}/part.safetensors has a broken config; make or download it again."
    )


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_with_a_tensor_less_or_more_is_refused_by_name(tmp_path: Path, kind: str):
    path = written(tmp_path / "part.safetensors", kind, filled(kind))
    tensors = {name: tensor.clone() for name, tensor in read(path).items()}
    metadata, gone = inventory(path).metadata, next(iter(tensors))
    for changed, sentence in (
        ({n: t for n, t in tensors.items() if n != gone}, f"missing: {gone}"),
        (tensors | {"odd": torch.zeros(1)}, "unexpected: odd"),
        (tensors | {gone: torch.zeros(3, 5, 7)}, f"wrong in shape: {gone} [3, 5, 7]"),
    ):
        save_file(changed, path, metadata)
        model = filled(kind)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        with pytest.raises(CheckpointError) as error:
            checkpoints.load_weights(model, path, layout_of(kind))
        assert sentence in str(error.value)
        assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
