"""MLX files: every type is found, and loaded as the floats that it stands for."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import gguf_models, mlx_models, releases
from support.release_texts import config_text
from support.small_files import expected, loaded
from torch import nn

from levo.config import RELEASED_CONFIGS
from levo.files import converted, parts, released
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.files.converted import Provenance
from levo.files.listing import Listing, states
from levo.files.mlx_file import affine
from levo.files.tensor_file import size_of
from levo.kinds import Kind
from levo.layers import int8, quantised
from levo.lelm.model import LeLM

KINDS = ("bf16", "fp16", "fp32", "8-bit", "4-bit")
INDEX, Written = mlx_models.INDEX, mlx_models.WrittenMlx
NARROW_LELM = replace(mlx_models.GROUPED_LELM, width=64, inner=128)  # one group of 64 numbers a row


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory):
    """Small folders, each written once."""
    place, made = tmp_path_factory.mktemp("mlx"), {}

    def get(kind: str) -> Written:
        if kind not in made:
            config = NARROW_LELM if "bit" in kind else None
            made[kind] = mlx_models.write(place / f"my-{kind}", kind, config)
        return made[kind]

    return get


# What is loaded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_loaded_as_the_floats_that_it_stands_for(folders, kind: str):
    file = folders(kind)
    assert len(list(file.path.parent.glob("model-*"))) > 1
    assert fitting_config(open_checkpoint(file.path), Kind.LELM) == file.model.args[0]
    ours, right = loaded(file, torch.float32), expected(file, torch.float32, file.floats)
    near = expected(file, torch.float32, file.originals)
    for tensor in right:
        assert torch.equal(ours[tensor], right[tensor]), tensor
        error = (ours[tensor] - near[tensor]).abs().max() / near[tensor].abs().max()
        assert error <= mlx_models.ERROR[kind], tensor


@pytest.mark.parametrize("kind", ["bf16", "4-bit"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes_round_the_same_floats_once(folders, kind: str, dtype: torch.dtype):
    file = folders(kind)
    ours, right = loaded(file, dtype), expected(file, dtype, file.floats)
    for tensor in right:
        assert torch.equal(ours[tensor], right[tensor])


def test_int8_layers_round_the_same_floats(folders):
    file = folders("8-bit")
    ours = loaded(file, torch.float32, quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding))
    model = file.model(
        device="meta", operations=quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding)
    )
    released.load(model, lambda: file.floats, file.layout, "cpu")
    for tensor, right in model.state_dict().items():
        assert torch.equal(ours[tensor], right)


@pytest.mark.parametrize("bits", [4, 8])
def test_words_hold_the_lowest_bits_first(bits: int):
    numbers = [[n % 2**bits for n in range(3, 35)]]
    words = [sum(numbers[0][8 * w + k] << 4 * k for k in range(8)) for w in range(4)]
    if bits == 8:
        words = [sum(numbers[0][4 * w + k] << 8 * k for k in range(4)) for w in range(8)]
    scales, biases = torch.tensor([[0.5]]), torch.tensor([[-1.0]])
    floats = affine(torch.tensor([words], dtype=torch.uint32), scales, biases, bits)
    assert floats.tolist() == [[0.5 * n - 1 for n in numbers[0]]]


def test_a_folder_of_one_file_needs_no_index(tmp_path: Path):
    for shards_too in (False, True):
        file = mlx_models.write(tmp_path / f"{shards_too}", "fp16", shards=False)
        if shards_too:  # an index of one file stands for it
            names = dict.fromkeys(load_file(file.path), "model.safetensors")
            (file.path.parent / INDEX).write_text(json.dumps({"weight_map": names}))
        found = [f for f in Listing().files([file.path.parent]) if f.part]
        assert [f.path.name for f in found] == [INDEX if shards_too else "model.safetensors"]
        assert found[0].part == parts.Part(Kind.LELM, f"{shards_too} MLX fp16", file.path.stat().st_size)
        ours, right = (
            loaded(file, torch.float32, path=found[0].path),
            expected(file, torch.float32, file.floats),
        )
        assert all(torch.equal(ours[tensor], right[tensor]) for tensor in right)


def test_a_loaded_folder_is_saved_as_one_file_of_ours(folders, tmp_path: Path):
    file = folders("4-bit")
    model = file.model(device="meta", dtype=torch.float16)
    open_checkpoint(file.path).load_into(model, file.layout, "cpu")
    path = tmp_path / "saved.safetensors"
    converted.save(
        path, model, Kind.LELM, file.model.args[0], Provenance("a", "b"), None, lambda done, total: None
    )
    again = file.model(device="meta", dtype=torch.float16)
    open_checkpoint(path).load_into(again, file.layout, "cpu")
    assert all(torch.equal(again.state_dict()[name], value) for name, value in model.state_dict().items())


def test_released_files_in_shards_are_read_too(tmp_path: Path):
    model, layout = (
        LeLM(gguf_models.FLOAT_LELM, device="meta"),
        released.lelm_layout(gguf_models.FLOAT_LELM),
    )
    tensors = gguf_models.lelm_tensors(gguf_models.FLOAT_LELM)
    path = mlx_models.write_shards(tmp_path, {f"audiolm.{name}": t for name, t in tensors.items()})
    (found,) = [f for f in Listing().files([tmp_path]) if f.part]
    assert found.part and (found.path, found.part.kind) == (path, Kind.LELM)
    open_checkpoint(path).load_into(model, layout, "cpu")
    right = LeLM(gguf_models.FLOAT_LELM, device="meta")
    released.load(right, lambda: tensors, layout, "cpu")
    assert all(torch.equal(model.state_dict()[name], t) for name, t in right.state_dict().items())


# What is found -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_found_once_with_type_and_size(folders, kind: str, tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "linked").symlink_to(folders(kind).path.parent)
    found = [file for file in Listing().files([tmp_path]) if file.part]
    size = sum(p.stat().st_size for p in folders(kind).path.parent.glob("*.safetensors"))
    assert [(file.name, file.part) for file in found] == [
        (f"deep/linked/{INDEX}", parts.Part(Kind.LELM, f"linked MLX {kind}", size))
    ]
    assert size_of(found[0].path) == size


def test_a_shard_that_comes_or_goes_is_noticed(folders, tmp_path: Path):
    index, listing = mlx_models.copied(folders("fp32"), tmp_path / "a"), Listing()
    (shard, *_) = sorted(index.parent.glob("*.safetensors"))
    place = os.readlink(shard)
    shard.unlink()
    before = states(index)
    (found,) = [file for file in listing.files([tmp_path]) if file.part]
    assert found.part and found.part.name == f"damaged a/{INDEX}" and found.part.whole_name == "a MLX fp32"
    shard.symlink_to(place)
    (found,) = [file for file in listing.files([tmp_path]) if file.part]
    assert found.part and found.part.name == "a MLX fp32"
    assert states(index) != before


@pytest.mark.parametrize("release", ["v2-medium", "v2-large"])
@pytest.mark.parametrize("bits", [None, 4, 8])
@pytest.mark.parametrize("official", ["config.official.yaml", "config.yaml", None])
def test_files_of_full_size_fit(tmp_path: Path, release: str, bits: int | None, official: str | None):
    config, kind = RELEASED_CONFIGS[release], f"{bits}-bit" if bits else "bf16"
    tensors = {}
    for source, tensor in releases.lelm(release).items():
        name = mlx_models.mlx_name(source)
        if not name:
            continue
        if bits is None or tensor.ndim < 2 or not name.endswith(".weight"):
            tensors[name] = torch.empty(tensor.shape, dtype=torch.bfloat16, device="meta")
            continue
        rows, columns = tensor.shape
        tensors[name] = torch.empty(rows, columns * bits // 32, dtype=torch.uint32, device="meta")
        for leaf in ("scales", "biases"):
            small = torch.empty(rows, columns // 64, dtype=torch.bfloat16, device="meta")
            tensors[f"{name.removesuffix('weight')}{leaf}"] = small
    if bits is None and release == "v2-medium":
        assert len(tensors) == 383
    half = len(tensors) // 2
    names = list(tensors)
    places = {name: f"model-0000{1 + (n > half)}-of-00002.safetensors" for n, name in enumerate(names)}
    for place in set(places.values()):
        releases.write(tmp_path / place, {name: tensors[name] for name in names if places[name] == place})
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": places}))
    (tmp_path / "config.json").write_text(json.dumps(mlx_models.config_json(config, kind)))
    if official:
        (tmp_path / official).write_text(config_text(release))
    (found,) = [file for file in Listing().files([tmp_path]) if file.part]
    assert found.part and (found.part.kind, found.part.name) == (Kind.LELM, f"{release} MLX {kind}")
    file = open_checkpoint(tmp_path / INDEX)
    assert fitting_config(file, Kind.LELM) == config
    layout = released.mlx_layout(released.lelm_layout(config))
    released.check(file.inventory.tensors, layout, LeLM(config, device="meta"))
