"""Matrices stored as fp8: which they are, and their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import checkpoints
from support.rounded_models import LAYOUT, ORIGIN, CastingLayers, fp8_lelm
from torch import nn

from levo import tiny
from levo.files import converted
from levo.files.tensor_file import CheckpointError, read
from levo.kinds import Kind
from levo.layers import fp8
from levo.layers.fp8 import FP8
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer


def written(path: Path, model: nn.Module, dtype: torch.dtype | None = None) -> Path:
    converted.save(path, model, Kind.LELM, tiny.LELM, ORIGIN, dtype, lambda done, total: None)
    return path


def stored(model: nn.Module) -> dict[torch.dtype, set[str]]:
    found: dict[torch.dtype, set[str]] = {}
    for name, tensor in model.state_dict().items():
        found.setdefault(tensor.dtype, set()).add(name)
    return found


def test_lelms_blocks_and_heads_are_fp8_and_nothing_else():
    names = stored(fp8_lelm(torch.bfloat16))
    assert names.keys() == {FP8, torch.bfloat16}
    assert names[FP8] == {
        name
        for name in LAYOUT.sources
        if name.startswith("heads.")
        or ".blocks." in name
        and name.endswith(("qkv.weight", "out.weight", "gate_up.weight", "down.weight"))
    }


def test_the_renderers_matrices_are_fp8_but_neither_biases_nor_norms_nor_tables():
    model = Renderer(tiny.RENDERER, fp8.operations(CastingLayers, biased=True))
    linear = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    assert stored(model)[FP8] == linear
    assert stored(model).keys() == {FP8, torch.float32}
    assert sum(p.requires_grad for p in model.parameters() if p.dtype == FP8) == 0


def test_an_fp8_model_is_saved_as_it_is_and_loads_to_the_same_bits(tmp_path: Path):
    model, loaded, plain = fp8_lelm(), fp8_lelm(), LeLM(tiny.LELM)
    tiny.init_weights(model)
    path = written(tmp_path / "lelm.safetensors", model)
    assert read(path)["heads.0.weight"].dtype == FP8
    checkpoints.load_weights(loaded, path, LAYOUT)
    checkpoints.load_weights(plain, path, LAYOUT)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name].float(), tensor.float())
        assert torch.equal(plain.state_dict()[name], tensor.float())


def test_float_weights_are_rounded_to_nearest():
    plain, model = LeLM(tiny.LELM), fp8_lelm()
    tiny.init_weights(plain)
    tiny.init_weights(model)
    weight = plain.heads[1].weight
    assert torch.equal(model.heads[1].weight.float(), weight.to(FP8).float())
    assert LAYOUT.sources.keys() == model.state_dict().keys()


def test_an_fp8_model_is_not_written_in_another_dtype(tmp_path: Path):
    with pytest.raises(CheckpointError, match="loaded as fp8, which is written only as it is"):
        written(tmp_path / "lelm.safetensors", fp8_lelm(), torch.bfloat16)
    assert list(tmp_path.iterdir()) == []
