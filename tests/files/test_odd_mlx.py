"""MLX folders that are cut, changed or made to harm: one sentence each, and no list is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import mlx_models
from support.sentences import assert_one_sentence
from torch import Tensor

from levo.files import parts, released, shards
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.files.listing import Listing
from levo.files.tensor_file import CheckpointError
from levo.kinds import Kind
from levo.lelm.model import LeLM

INDEX = mlx_models.INDEX


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory):
    """Small folders, each written once."""
    place, made = tmp_path_factory.mktemp("mlx"), {}

    def get(kind: str) -> mlx_models.WrittenMlx:
        if kind not in made:
            made[kind] = mlx_models.write(place / f"my-{kind}", kind)
        return made[kind]

    return get


def refused(path: Path) -> str:
    """The sentence with which a folder is refused."""
    with pytest.raises(CheckpointError) as error:
        file = open_checkpoint(path)
        config = fitting_config(file, Kind.LELM)
        file.load_into(LeLM(config, device="meta"), released.lelm_layout(config), "cpu")
    assert_one_sentence(str(error.value))
    assert parts.damage_of(path) in (None, str(error.value))
    return str(error.value)


def index_of(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], object]:
    def apply(index: Path) -> None:
        said = json.loads(index.read_text())
        index.write_text(json.dumps(change(said) or said))

    return apply


def moved(to: str) -> Callable[[Path], object]:
    """The first shard is named otherwise in the index."""

    def change(said: dict[str, Any]) -> None:
        first = sorted(said["weight_map"].values())[0]
        said["weight_map"] = {n: to if p == first else p for n, p in said["weight_map"].items()}

    return index_of(change)


def first_shard(index: Path) -> Path:
    return sorted(index.parent.glob("*.safetensors"))[0]


def cut(index: Path) -> None:
    shard = first_shard(index)
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[: len(content) // 2])


def with_config(**changes: Any) -> Callable[[Path], object]:
    def apply(index: Path) -> None:
        file = index.parent / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return apply


def with_runtime(**changes: Any) -> Callable[[Path], object]:
    def apply(index: Path) -> None:
        file = index.parent / "config.json"
        said = json.loads(file.read_text())
        said["runtime"] |= changes
        file.write_text(json.dumps(said))

    return apply


AFFINE = {"bits": 4, "group_size": 64, "mode": "affine"}
ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a shard is missing": (lambda i: first_shard(i).unlink(), "-of-0000"),
    "a shard is cut": (cut, "was cut off in the download"),
    "a shard is a page": (
        lambda i: (first_shard(i).unlink(), first_shard_named(i).write_bytes(b"<html>")),
        "is a web page",
    ),
    "a shard in the folder above": (moved("../model.safetensors"), "'../model.safetensors'"),
    "a shard at the root": (moved("/etc/x.safetensors"), "'/etc/x.safetensors'"),
    "a shard on another disk": (moved("C:\\x.safetensors"), "x.safetensors'"),
    "a shard in a folder": (moved("a/x.safetensors"), "'a/x.safetensors'"),
    "a shard that is a pickle": (moved("x.pt"), "'x.pt'"),
    "a shard that is hidden": (moved("..safetensors"), "'..safetensors'"),
    "a shard with a null byte": (moved("a\0.safetensors"), "no safetensors file beside it"),
    "a shard that is a number": (moved(3), "is no index of shards"),  # type: ignore[arg-type]
    "no map": (index_of(lambda said: {"metadata": {}}), "is no index of shards"),
    "an empty map": (index_of(lambda said: {"weight_map": {}}), "is no index of shards"),
    "a map that is a list": (index_of(lambda said: {"weight_map": []}), "is no index of shards"),
    "a list": (lambda i: i.write_text("[]"), "is no index of shards"),
    "no JSON": (lambda i: i.write_text("{"), "cannot be read"),
    "nothing": (lambda i: i.write_text(""), "is empty"),
    "nested deep": (lambda i: i.write_text("[" * 100_000), "cannot be read"),
    "2 MB": (lambda i: i.write_text(" " * 2_000_000), "cannot be read"),
    "a tensor elsewhere": (
        index_of(lambda said: said["weight_map"].update(ghost=first_shard_in(said))),
        "'ghost'",
    ),
    "a tensor less": (
        index_of(lambda said: said["weight_map"].pop("prompt_audio_eot") and None),
        "missing: prompt_audio_eot",
    ),
    "no config": (lambda i: (i.parent / "config.json").unlink(), "config.json is missing"),
    "a config that is a list": (
        lambda i: (i.parent / "config.json").write_text("[]"),
        "json is no config",
    ),
    "a broken config": (lambda i: (i.parent / "config.json").write_text("{"), "config.json cannot be read"),
    "no quantization": (with_config(quantization=None), "says no quantization"),
    "another mode": (with_config(quantization=AFFINE | {"mode": "mxfp4"}), "'mxfp4'"),
    "another group": (with_config(quantization=AFFINE | {"group_size": 128}), "in a form that is not read"),
    "a group of nothing": (with_config(quantization=AFFINE | {"group_size": 0}), "groups of 0"),
    "a group beyond sense": (with_config(quantization=AFFINE | {"group_size": 10**30}), "groups of 1"),
    "a group that is a text": (with_config(quantization=AFFINE | {"group_size": "64"}), "groups of '64'"),
    "no runtime": (with_config(runtime=3), "no runtime"),
    "no width": (with_config(runtime={}), "no hidden_size"),
    "a billion layers": (with_runtime(num_layers=10**9), "num_layers is 1000000000"),
    "a width that is a text": (with_runtime(hidden_size="256"), "hidden_size is '256'"),
    "another codebook": (with_runtime(code_size=1024), "code_size is 1024"),
    "another size": (with_runtime(intermediate_size=640), "says 640 for inner"),
}


def first_shard_in(said: dict[str, Any]) -> str:
    return sorted(said["weight_map"].values())[0]


def first_shard_named(index: Path) -> Path:
    return index.parent / first_shard_in(json.loads(index.read_text()))


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_folder_is_refused_in_a_sentence_and_hides_no_other(folders, tmp_path: Path, odd: str):
    index = mlx_models.copied(folders("4-bit"), tmp_path / "odd")
    mlx_models.copied(folders("fp32"), tmp_path / "whole")
    change, words = ODD[odd]
    change(index)
    found = {file.name: file.part for file in Listing().files([tmp_path]) if file.part}
    assert found[f"whole/{INDEX}"].name == "whole MLX fp32"
    assert words in refused(index)


Stored = dict[str, Tensor]
MATRICES: dict[str, Callable[[Stored], object]] = {
    "biases are missing": lambda t: t.pop("mlp.linear0.biases"),
    "words are floats": lambda t: t.update({"mlp.linear0.weight": t["mlp.linear0.weight"].float()}),
    "scales are words": lambda t: t.update({"mlp.linear0.scales": t["mlp.linear0.scales"].to(torch.int32)}),
    "scales have more rows": lambda t: t.update({"mlp.linear0.scales": torch.ones(300, 8).half()}),
    "scales have more groups": lambda t: t.update(
        {n: torch.ones(256, 9).half() for n in ("mlp.linear0.scales", "mlp.linear0.biases")}
    ),
    "scales have no axis": lambda t: t.update({"mlp.linear0.scales": torch.tensor(1.0)}),
    "two bits": lambda t: t.update({"mlp.linear0.weight": t["mlp.linear0.weight"][:, ::2].contiguous()}),
}


@pytest.mark.parametrize("odd", MATRICES)
def test_a_matrix_that_does_not_fit_its_scales_is_named(folders, tmp_path: Path, odd: str):
    index = mlx_models.copied(folders("4-bit"), tmp_path / "odd")
    said = json.loads(index.read_text())
    place = said["weight_map"]["mlp.linear0.weight"]
    for leaf in ("scales", "biases"):
        assert said["weight_map"][f"mlp.linear0.{leaf}"] == place
    tensors = load_file(index.parent / place)
    MATRICES[odd](tensors)
    (index.parent / place).unlink()
    save_file(tensors, index.parent / place)
    said["weight_map"] = {n: p for n, p in said["weight_map"].items() if p != place or n in tensors}
    index.write_text(json.dumps(said))
    assert "mlp.linear0.weight" in refused(index)


def test_scales_that_are_no_numbers_are_named(folders, tmp_path: Path):
    index = mlx_models.copied(folders("4-bit"), tmp_path / "odd")
    place = index.parent / json.loads(index.read_text())["weight_map"]["mlp.linear0.scales"]
    tensors = load_file(place)
    tensors["mlp.linear0.scales"] = torch.full_like(tensors["mlp.linear0.scales"], float(np.nan))
    place.unlink()
    save_file(tensors, place)
    assert "mlp.linear0.weight holds numbers that are none" in refused(index)


def test_a_shard_without_its_index_is_told(folders, tmp_path: Path):
    index = mlx_models.copied(folders("fp16"), tmp_path / "odd")
    index.unlink()
    found = [file for file in Listing().files([tmp_path]) if file.part]
    assert len(found) == 1 and found[0].part and found[0].part.name.startswith("damaged odd/model-0000")
    assert f"model{shards.INDEX}" in refused(found[0].path)


def test_another_kind_is_named(folders):
    with pytest.raises(CheckpointError, match=r"is a LeLM; choose a file that holds a VAE\.$"):
        open_checkpoint(folders("fp16").path).config(Kind.VAE)
