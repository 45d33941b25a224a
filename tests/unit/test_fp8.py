"""Matrices stored as fp8: which they are, how far logits move, and their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import checkpoints
from test_int8 import LAYOUT, MODELS, ORIGIN, logits_of, models, relative
from torch import Tensor, nn
from torch.nn import functional as F

from levo import tiny
from levo.config import END
from levo.files import converted
from levo.files.tensor_file import CheckpointError, read
from levo.kinds import Kind
from levo.layers import fp8
from levo.layers.fp8 import FP8
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer

# Three bits of mantissa: a number is off by up to 1/16 of itself, 2.6 % as squares are averaged (below 1/64
# by up to 1/1024, which is more). That is three times int8's 0.8 %, and so is what comes of it.
LOGITS_LIMIT = 0.15
AGREEMENT_LIMIT = 0.5


class Casting(nn.Linear):
    """As ComfyUI's layers do: weights in the dtype of what they are multiplied with."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


class Layers:
    Linear, Embedding, LayerNorm, RMSNorm = Casting, nn.Embedding, nn.LayerNorm, nn.RMSNorm


def lelm(dtype: torch.dtype = torch.float32, config=tiny.LELM) -> LeLM:
    return LeLM(config, fp8.operations(Layers, biased=False), dtype=dtype)


def written(path: Path, model: nn.Module, dtype: torch.dtype | None = None) -> Path:
    converted.save(path, model, Kind.LELM, tiny.LELM, ORIGIN, dtype, lambda done, total: None)
    return path


def stored(model: nn.Module) -> dict[torch.dtype, set[str]]:
    found: dict[torch.dtype, set[str]] = {}
    for name, tensor in model.state_dict().items():
        found.setdefault(tensor.dtype, set()).add(name)
    return found


def test_lelms_blocks_and_heads_are_fp8_and_nothing_else():
    names = stored(lelm(torch.bfloat16))
    assert names.keys() == {FP8, torch.bfloat16}
    assert names[FP8] == {
        name
        for name in LAYOUT.sources
        if name.startswith("heads.")
        or ".blocks." in name
        and name.endswith(("qkv.weight", "out.weight", "gate_up.weight", "down.weight"))
    }


def test_the_renderers_matrices_are_fp8_but_neither_biases_nor_norms_nor_tables():
    model = Renderer(tiny.RENDERER, fp8.operations(Layers, biased=True))
    linear = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    assert stored(model)[FP8] == linear
    assert stored(model).keys() == {FP8, torch.float32}
    assert sum(p.requires_grad for p in model.parameters() if p.dtype == FP8) == 0


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("name", MODELS)
def test_logits_stay_near_those_of_float_weights(name: str):
    plain, _, codes = models(name)
    model = lelm(config=plain.config)
    model.load_state_dict(plain.state_dict())
    wanted, made = logits_of(plain, codes), logits_of(model, codes)
    error = relative(made[..., :END], wanted[..., :END])
    agreement = float((made.argmax(-1) == wanted.argmax(-1)).float().mean())
    report = f"{name}: relative error of logits {error:.4f}, equal argmax {agreement:.3f}"
    assert 1e-3 < error <= LOGITS_LIMIT, report
    assert agreement >= AGREEMENT_LIMIT, report


def test_an_fp8_model_is_saved_as_it_is_and_loads_to_the_same_bits(tmp_path: Path):
    model, loaded, plain = lelm(), lelm(), LeLM(tiny.LELM)
    tiny.init_weights(model)
    path = written(tmp_path / "lelm.safetensors", model)
    assert read(path)["heads.0.weight"].dtype == FP8
    checkpoints.load_weights(loaded, path, LAYOUT)
    checkpoints.load_weights(plain, path, LAYOUT)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name].float(), tensor.float())
        assert torch.equal(plain.state_dict()[name], tensor.float())


def test_float_weights_are_rounded_to_nearest():
    plain, model = LeLM(tiny.LELM), lelm()
    tiny.init_weights(plain)
    tiny.init_weights(model)
    weight = plain.heads[1].weight
    assert torch.equal(model.heads[1].weight.float(), weight.to(FP8).float())
    assert LAYOUT.sources.keys() == model.state_dict().keys()


def test_an_fp8_model_is_not_written_in_another_dtype(tmp_path: Path):
    with pytest.raises(CheckpointError, match="loaded as fp8, which is written only as it is"):
        written(tmp_path / "lelm.safetensors", lelm(), torch.bfloat16)
    assert list(tmp_path.iterdir()) == []
