"""Layers of half bytes: rounding, products, files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from support.rounded_models import ORIGIN
from torch import Tensor, nn

from levo import tiny
from levo.files import converted
from levo.files.tensor_file import CheckpointError, inventory
from levo.kinds import Kind
from levo.layers import fbgemm, int4, int4_cpu, int8, quantised, weights
from levo.layers.int4 import GROUP, HALF, Int4Linear
from levo.layers.int4_cpu import PackedInt4Linear
from levo.layers.int8 import Int8Embedding, Int8Linear
from levo.lelm.model import LeLM

needs_kernel = pytest.mark.skipif(not int4_cpu.is_available(), reason="torch has no fast kernel here")
WIDTHS = [GROUP, 3 * GROUP, 96, 300]  # whole groups, less than one, and some and a few


def relative(made: Tensor, exact: Tensor) -> float:
    return ((made.double() - exact.double()).norm() / exact.double().norm()).item()


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture(autouse=True)
def no_grad():
    with torch.inference_mode():
        yield


# ------------------------------------------------------------------ rounding


@pytest.mark.parametrize("width", WIDTHS)
def test_a_matrix_is_rounded_to_a_tenth_of_its_deviation(width: int):
    weight = random(131, width)
    packed, scale = int4.quantise(weight)
    assert packed.dtype == torch.uint8 and packed.shape == (131, int4.groups(width) * HALF)
    assert scale.dtype == torch.bfloat16 and scale.shape == (131, int4.groups(width))
    assert 0.05 < relative(int4.dequantise(packed, scale)[:, :width], weight) < 0.105


def test_what_half_bytes_hold_comes_back_as_it_was():
    numbers = torch.randint(-8, 8, (16, 2, GROUP), generator=torch.Generator().manual_seed(0))
    numbers[..., 0] = -8  # a group's largest decides its scale
    scales = torch.tensor([0.5, -2.0]).expand(16, 2)
    weight = (numbers * scales[..., None]).flatten(1)
    packed, scale = int4.quantise(weight)
    assert torch.equal(int4.dequantise(packed, scale), weight)
    assert torch.equal(scale.float(), scales)


def test_bytes_hold_a_weight_of_each_half_of_a_group():
    numbers = torch.zeros(1, GROUP, dtype=torch.int8)
    numbers[0, 3], numbers[0, HALF + 3] = -8, 7
    packed = int4.packed_from(numbers)
    assert packed[0, 3] == 0xF0 and (packed[0, :3] == 0x88).all()
    assert torch.equal(int4.numbers_in(packed)[0], numbers)


@pytest.mark.parametrize("size", [0.0, 1e-42, 1e30])
def test_groups_of_any_size_are_numbers(size: float):
    weight = random(4, GROUP) * size
    stands_for = int4.dequantise(*int4.quantise(weight))
    assert stands_for.isfinite().all()
    assert (stands_for - weight).abs().max() <= max(0.31 * weight.abs().max().item(), 1e-40)


# ------------------------------------------------------------------ products


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("rows", [1, 2, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_product_is_that_of_the_numbers_stood_for(width: int, rows: int, dtype: torch.dtype):
    weight, scale = int4.quantise(random(37, width))
    x = random(rows, 1, width).to(dtype)
    exact = x.double() @ int4.dequantise(weight, scale)[:, :width].double().t()
    assert relative(int4.product(x, weight, scale), exact) < (1e-6 if dtype == torch.float32 else 5e-3)


def test_few_rows_go_to_the_kernel_and_many_do_not():
    weight, scale = int4.quantise(random(8, GROUP))
    given: list[int] = []

    def multiply(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        given.append(len(x))
        return x @ int4.dequantise(weight, scale).t()

    kernel = quantised.Kernel("", 4, multiply)
    for rows in (4, 5):
        int4.product(random(rows, GROUP), weight, scale, kernel)
    assert given == [4]
    assert kernel.is_right(Int4Linear, torch.device("cpu"), torch.float32)


@needs_kernel
@pytest.mark.parametrize("shape", [(16, GROUP), (131, 300), (33, 96)])
def test_the_packed_layer_multiplies_the_same_numbers(shape: tuple[int, int]):
    layer, weight = PackedInt4Linear(shape[1], shape[0]), random(*shape)
    layer.pack(weight)
    packed, scale = int4.quantise(weight)
    x = random(2, 3, shape[1])
    exact = x.double() @ int4.dequantise(packed, scale)[:, : shape[1]].double().t()
    made = layer(x)
    assert made.dtype == torch.float32 and made.shape == (2, 3, shape[0])
    assert relative(made, exact) < 5e-3  # x is rounded to bf16
    assert torch.equal(layer.matrix(), packed)


# ------------------------------------------------------------------ models and files


def tiny_lelm(linear: type[nn.Module] | None, base: object = nn) -> LeLM:
    model = LeLM(tiny.LELM, base if linear is None else quantised.operations(base, linear, Int8Embedding))
    tiny.init_weights(model)
    return model


def saved(model: LeLM, path: Path) -> Path:
    converted.save(path, model, Kind.LELM, tiny.LELM, ORIGIN, None, lambda done, total: None)
    return path


def loaded(path: Path, linear: type[nn.Module] | None, base: object = nn) -> LeLM:
    model = LeLM(tiny.LELM, base if linear is None else quantised.operations(base, linear, Int8Embedding))
    converted.load(model, path, inventory(path), Kind.LELM)
    return model


def test_a_saved_model_loads_to_the_same_bits(tmp_path: Path):
    model = tiny_lelm(Int4Linear)
    path = saved(model, tmp_path / "int4.safetensors")
    with safe_open(path, framework="pt") as file:
        assert file.get_slice("heads.0.weight").get_dtype() == "U8"
    again = loaded(path, Int4Linear).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("into", [None, Int8Linear])
def test_a_file_of_half_bytes_fits_other_models(tmp_path: Path, into: type[nn.Module] | None):
    model = tiny_lelm(Int4Linear)
    path = saved(model, tmp_path / "int4.safetensors")
    other = loaded(path, into)
    name = "stage1.blocks.0.down"
    layer = model.get_submodule(name)
    expected = int4.dequantise(layer.weight, layer.scale)[:, : tiny.LELM.inner]
    made = other.get_submodule(name)
    if into is not None:
        expected = int8.dequantise(*int8.quantise(expected))
    stands_for = made.weight if into is None else int8.dequantise(made.weight, made.scale)
    assert torch.equal(stands_for, expected)


@pytest.mark.parametrize("linear", [None, Int8Linear])
def test_files_of_other_models_fit_one_of_half_bytes(tmp_path: Path, linear: type[nn.Module] | None):
    path = saved(tiny_lelm(linear), tmp_path / "other.safetensors")
    made = loaded(path, Int4Linear).heads[0]
    floats = tiny_lelm(None).heads[0].weight
    if linear is not None:
        floats = int8.dequantise(*int8.quantise(floats))
    assert torch.equal(made.weight, int4.quantise(floats)[0])


@needs_kernel
def test_a_packed_model_is_written_as_any_other(tmp_path: Path):
    packed = tiny_lelm(PackedInt4Linear, fbgemm.operations(nn))
    path = saved(packed, tmp_path / "packed.safetensors")
    again = loaded(path, PackedInt4Linear, fbgemm.operations(nn))
    plain = tiny_lelm(Int4Linear)
    for name, tensor in plain.heads[0].state_dict().items():
        assert torch.equal(weights.value(again, f"heads.0.{name}"), tensor)


def test_half_bytes_without_scales_are_refused(tmp_path: Path):
    model = tiny_lelm(None)
    weight = torch.zeros(model.heads[0].weight.shape, dtype=torch.uint8)
    model.heads[0].weight = nn.Parameter(weight, requires_grad=False)
    path = saved(model, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=r"heads\.0\.scale of heads\.0\.weight, which is int4"):
        loaded(path, None)


def test_a_model_of_half_bytes_is_written_only_as_it_is(tmp_path: Path):
    with pytest.raises(CheckpointError, match="was loaded as int4, which is written only as it is"):
        converted.save(
            tmp_path / "x.safetensors",
            tiny_lelm(Int4Linear),
            Kind.LELM,
            tiny.LELM,
            ORIGIN,
            torch.float16,
            lambda done, total: None,
        )
