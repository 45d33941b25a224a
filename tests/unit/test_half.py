"""Fp16 layers of a CPU against float32 ones: what they compute, what they hold, files and whole songs."""

from __future__ import annotations

from pathlib import Path

import golden
import pytest
import torch
from released import GOLDEN, released_tensors
from torch import Tensor, nn

from levo import checkpoint, converted, filling, half, int8, parts, tiny
from levo.checkpoint import LELM
from levo.converted import Provenance
from levo.half import HalfLinear
from levo.lelm.model import LeLM
from levo.weightfile import CheckpointError, read

pytestmark = pytest.mark.skipif(not half.is_there(), reason="this CPU has no FBGEMM")

ORIGIN = Provenance("SongGeneration-v2-medium/model.pt", "ab" * 32)
LAYOUT = checkpoint.lelm_layout(tiny.LELM)
SONGS = ["lelm_v2_all_end", "lelm_v2_ban", "lelm_v2_bgm", "lelm_v2_eos"]  # the short ones


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer_of(weight: Tensor, bias: Tensor | None = None) -> HalfLinear:
    layer = HalfLinear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.take(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer


def halved(model: LeLM) -> LeLM:
    """The same model with fp16 matrices."""
    other = LeLM(model.config, half.operations(nn))
    for name, tensor in model.state_dict().items():
        filling.fill(other, name, tensor)
    return other


def tiny_lelm() -> LeLM:
    model = LeLM(tiny.LELM)
    tiny.fill(model)
    return model


# ------------------------------------------------------------------ layers


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 300])
@pytest.mark.parametrize(("width_out", "width_in"), [(64, 96), (37, 41), (1, 7)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_layer_multiplies_by_its_rounded_weights_in_float32(
    rows: int, width_out: int, width_in: int, biased: bool
):
    weight, x = random(width_out, width_in), random(2, rows, width_in, seed=2)
    bias = random(width_out, seed=3) if biased else None
    made = layer_of(weight, bias)(x)
    wanted = nn.functional.linear(
        x.double(), weight.half().double(), None if bias is None else bias.double()
    )
    assert (made.dtype, made.shape) == (torch.float32, (2, rows, width_out))
    assert (made - wanted).abs().max() < 1e-6 * width_in**0.5 * 10


def test_a_strided_batch_is_taken_as_it_is():
    layer, strided = layer_of(random(200, 96)), random(2, 5, 96, seed=3)[:, -1]
    assert torch.equal(layer(strided), layer(strided.contiguous()))


def test_the_matrix_is_the_weights_rounded_to_fp16():
    weight = random(40, 33) / 50
    assert torch.equal(layer_of(weight).matrix(), weight.half().float())
    released = weight.bfloat16()
    assert torch.equal(layer_of(released).matrix(), released.float())  # nothing to round


def test_a_layer_counts_as_fp16_and_stays_where_it_is():
    layer = layer_of(random(4, 8), random(4))
    state = layer.state_dict()
    assert {name: (tuple(t.shape), t.dtype) for name, t in state.items()} == {
        "weight": ((4, 8), torch.float16),
        "bias": ((4,), torch.float32),
    }
    x = random(1, 8)
    before = layer(x)
    assert layer.to("cpu").to(torch.bfloat16)(x).equal(before)


# ------------------------------------------------------------------ the model and its files


def test_all_linear_layers_are_fp16_and_nothing_else():
    state = LeLM(tiny.LELM, half.operations(nn)).state_dict()
    linear = {
        f"{name}.weight" for name, layer in LeLM(tiny.LELM).named_modules() if isinstance(layer, nn.Linear)
    }
    assert {name for name, tensor in state.items() if tensor.dtype == torch.float16} == linear


def test_a_released_file_is_rounded_as_it_loads(tmp_path: Path):
    torch.save(released_tensors(LeLM(tiny.LELM, device="meta"), LAYOUT), tmp_path / "model.pt")
    plain, model = LeLM(tiny.LELM), LeLM(tiny.LELM, half.operations(nn))
    parts.fill(plain, tmp_path / "model.pt", LAYOUT)
    parts.fill(model, tmp_path / "model.pt", LAYOUT)
    for name, tensor in plain.state_dict().items():
        packed = model.state_dict()[name].is_meta
        assert torch.equal(filling.value(model, name), tensor.half().float() if packed else tensor), name


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_a_saved_model_holds_its_numbers_and_loads_to_the_same(tmp_path: Path, dtype: torch.dtype | None):
    model, path = halved(tiny_lelm()), tmp_path / "lelm.safetensors"
    converted.save(path, model, LELM, tiny.LELM, ORIGIN, dtype, lambda done, total: None)
    assert read(path)["heads.0.weight"].dtype == (dtype or torch.float16)
    again = LeLM(tiny.LELM, half.operations(nn))
    parts.fill(again, path, LAYOUT)
    for name in model.state_dict():
        assert torch.equal(filling.value(again, name), filling.value(model, name)), name
        assert torch.equal(read(path)[name].float(), filling.value(model, name).float()), name


def test_an_int8_file_fills_fp16_layers(tmp_path: Path):
    small = LeLM(tiny.LELM, int8.operations(nn))
    tiny.fill(small)
    path = tmp_path / "lelm.safetensors"
    converted.save(path, small, LELM, tiny.LELM, ORIGIN, None, lambda done, total: None)
    model = LeLM(tiny.LELM, half.operations(nn))
    parts.fill(model, path, LAYOUT)
    stood_for = int8.dequantise(small.heads[0].weight, small.heads[0].scale)
    assert torch.equal(model.heads[0].matrix(), stood_for.half().float())


def test_a_file_of_another_size_leaves_the_model_as_it_was(tmp_path: Path):
    tensors = released_tensors(LeLM(tiny.LELM, device="meta"), LAYOUT)
    name = LAYOUT.sources["heads.0.weight"].names[0]
    torch.save({**tensors, name: tensors[name][:, :-1].clone()}, tmp_path / "model.pt")
    model = halved(tiny_lelm())
    with pytest.raises(CheckpointError, match="wrong in shape"):
        parts.fill(model, tmp_path / "model.pt", LAYOUT)
    assert torch.equal(model.heads[0].matrix(), tiny_lelm().heads[0].weight.half().float())


# ------------------------------------------------------------------ songs


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("name", SONGS)
def test_weights_that_fp16_holds_sing_as_in_float32(name: str):
    file = golden.GoldenFile(GOLDEN / f"{name}.safetensors")
    plain = golden.build_lelm(file, golden.lelm_config(file.meta))
    for tensor_name, tensor in plain.state_dict().items():
        filling.fill(plain, tensor_name, tensor.half().float())
    (wanted,) = golden.sing(file, plain)
    for song in golden.sing(file, halved(plain), seeds=[1, 2]):
        assert torch.equal(song.raw, wanted.raw)
        assert torch.equal(song.codes, wanted.codes)
    assert wanted.raw.shape[2]
