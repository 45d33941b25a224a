"""Packed layers of a CPU against plain ones: what they compute, what they hold, files and whole songs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import checkpoints
from support.released import released_tensors
from support.rounded_models import LAYOUT, ORIGIN
from support.small_models import filled, random
from torch import Tensor, nn

from levo import tiny
from levo.files import converted
from levo.files.tensor_file import CheckpointError, read
from levo.kinds import Kind
from levo.layers import fbgemm, int8, quantised, weights
from levo.layers.fbgemm import Fp16Linear, PackedInt8Linear
from levo.lelm.model import LeLM

pytestmark = pytest.mark.skipif(not fbgemm.is_available(), reason="this CPU has no FBGEMM")


def layer_of(weight: Tensor, bias: Tensor | None = None) -> Fp16Linear:
    layer = Fp16Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.pack(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer


def halved(model: LeLM) -> LeLM:
    """The same model with fp16 matrices."""
    other = LeLM(model.config, fbgemm.operations(nn))
    weights.assign(other, model.state_dict().items())
    return other


def tiny_lelm() -> LeLM:
    return filled(LeLM(tiny.LELM))


# ------------------------------------------------------------------ fp16 layers


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 300])
@pytest.mark.parametrize(("width_out", "width_in"), [(64, 96), (37, 41), (1, 7)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_layer_multiplies_by_its_rounded_weights_in_float32(
    rows: int, width_out: int, width_in: int, biased: bool
):
    weight, x = random(width_out, width_in), random(2, rows, width_in, seed=2)
    bias = random(width_out, seed=3) if biased else None
    made = layer_of(weight, bias)(x)
    expected = nn.functional.linear(
        x.double(), weight.half().double(), None if bias is None else bias.double()
    )
    assert (made.dtype, made.shape) == (torch.float32, (2, rows, width_out))
    assert (made - expected).abs().max() < 1e-6 * width_in**0.5 * 10


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


# ------------------------------------------------------------------ int8 layers


def bytes_layer_of(weight: Tensor) -> PackedInt8Linear:
    layer = PackedInt8Linear(weight.shape[1], weight.shape[0])
    layer.pack(weight)
    return layer


@pytest.mark.parametrize("rows", [1, 2, 8, 300])
@pytest.mark.parametrize(("width_out", "width_in"), [(64, 96), (37, 41), (1, 7), (16, 9_000)])
def test_an_int8_layer_rounds_x_by_less_than_bf16_would(rows: int, width_out: int, width_in: int):
    weight, x = random(width_out, width_in), random(2, rows, width_in, seed=2)
    layer = bytes_layer_of(weight)
    numbers, scale = int8.quantise(weight)
    assert torch.equal(layer.matrix(), numbers)
    assert torch.equal(layer.scale.data, scale)
    exact = int8.dequantise(numbers, scale).double().t()
    made, expected = layer(x), x.double() @ exact
    assert (made.dtype, made.shape) == (torch.float32, (2, rows, width_out))
    assert (made - expected).norm() < (x.bfloat16().double() @ exact - expected).norm() / 5


def test_no_sum_of_an_int8_layer_overflows():
    # The largest numbers that there are, all of one sign: AVX2 adds pairs of products in 16 bits.
    layer = bytes_layer_of(torch.full((3, 9_000), 0.5))
    for x in (torch.full((2, 9_000), 7.0), torch.full((2, 9_000), -7.0)):
        torch.testing.assert_close(layer(x), x.sum(1, keepdim=True).expand(2, 3) * 0.5, rtol=5e-3, atol=0)


def test_rows_of_an_int8_layer_are_rounded_by_their_own_size():
    layer, x = bytes_layer_of(random(64, 96)), random(2, 96, seed=2)
    small = layer(torch.stack((x[0] * 1e-6, x[1] * 1e4)))
    torch.testing.assert_close(small[0] * 1e6, layer(x)[0], rtol=1e-3, atol=1e-3)
    assert torch.equal(layer(torch.zeros(1, 96)), torch.zeros(1, 64))


def test_packing_leaves_the_engine_of_others_alone():
    engine = torch.backends.quantized.engine
    bytes_layer_of(random(4, 8))
    assert torch.backends.quantized.engine == engine


def int8_lelm() -> LeLM:
    return LeLM(
        tiny.LELM, quantised.operations(fbgemm.operations(nn), PackedInt8Linear, int8.Int8Embedding)
    )


def test_a_packed_int8_model_and_its_file_hold_what_an_unpacked_one_does(tmp_path: Path):
    plain, model = (
        LeLM(tiny.LELM, quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding)),
        int8_lelm(),
    )
    paths = [tmp_path / "plain.safetensors", tmp_path / "packed.safetensors"]
    for path, one in zip(paths, (plain, model), strict=True):
        tiny.init_weights(one)
        converted.save(path, one, Kind.LELM, tiny.LELM, ORIGIN, None, lambda done, total: None)
    again = int8_lelm()
    for path in paths:
        checkpoints.load_weights(again, path, LAYOUT)
        for name, tensor in plain.state_dict().items():
            fp16 = name in ("bridge_in.weight", "bridge_out.weight")
            assert torch.equal(weights.value(again, name), tensor.half().float() if fp16 else tensor), name


# ------------------------------------------------------------------ the model and its files


def test_all_linear_layers_are_fp16_and_nothing_else():
    state = LeLM(tiny.LELM, fbgemm.operations(nn)).state_dict()
    linear = {
        f"{name}.weight" for name, layer in LeLM(tiny.LELM).named_modules() if isinstance(layer, nn.Linear)
    }
    assert {name for name, tensor in state.items() if tensor.dtype == torch.float16} == linear


def test_a_released_file_is_rounded_as_it_loads(tmp_path: Path):
    torch.save(released_tensors(LeLM(tiny.LELM, device="meta"), LAYOUT), tmp_path / "model.pt")
    plain, model = LeLM(tiny.LELM), LeLM(tiny.LELM, fbgemm.operations(nn))
    checkpoints.load_weights(plain, tmp_path / "model.pt", LAYOUT)
    checkpoints.load_weights(model, tmp_path / "model.pt", LAYOUT)
    for name, tensor in plain.state_dict().items():
        expected = tensor.half().float() if weights.is_packed(model, name) else tensor
        assert torch.equal(weights.value(model, name), expected), name


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_a_saved_model_holds_its_numbers_and_loads_to_the_same(tmp_path: Path, dtype: torch.dtype | None):
    model, path = halved(tiny_lelm()), tmp_path / "lelm.safetensors"
    converted.save(path, model, Kind.LELM, tiny.LELM, ORIGIN, dtype, lambda done, total: None)
    assert read(path)["heads.0.weight"].dtype == (dtype or torch.float16)
    again = LeLM(tiny.LELM, fbgemm.operations(nn))
    checkpoints.load_weights(again, path, LAYOUT)
    for name in model.state_dict():
        assert torch.equal(weights.value(again, name), weights.value(model, name)), name
        assert torch.equal(read(path)[name].float(), weights.value(model, name).float()), name


def test_an_int8_file_fills_fp16_layers(tmp_path: Path):
    small = LeLM(tiny.LELM, quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding))
    tiny.init_weights(small)
    path = tmp_path / "lelm.safetensors"
    converted.save(path, small, Kind.LELM, tiny.LELM, ORIGIN, None, lambda done, total: None)
    model = LeLM(tiny.LELM, fbgemm.operations(nn))
    checkpoints.load_weights(model, path, LAYOUT)
    stood_for = int8.dequantise(small.heads[0].weight, small.heads[0].scale)
    assert torch.equal(model.heads[0].matrix(), stood_for.half().float())


def test_a_file_of_another_size_leaves_the_model_as_it_was(tmp_path: Path):
    tensors = released_tensors(LeLM(tiny.LELM, device="meta"), LAYOUT)
    name = LAYOUT.sources["heads.0.weight"].names[0]
    torch.save({**tensors, name: tensors[name][:, :-1].clone()}, tmp_path / "model.pt")
    model = halved(tiny_lelm())
    with pytest.raises(CheckpointError, match="wrong in shape"):
        checkpoints.load_weights(model, tmp_path / "model.pt", LAYOUT)
    assert torch.equal(model.heads[0].matrix(), tiny_lelm().heads[0].weight.half().float())


# ------------------------------------------------------------------ songs
