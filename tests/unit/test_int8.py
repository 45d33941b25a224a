"""Int8 layers against float ones: rounding, every branch of the product, and files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from support import checkpoints
from support.released import released_tensors
from support.rounded_models import LAYOUT, ORIGIN
from support.small_models import filled, relative
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from levo import tiny
from levo.files import converted
from levo.files.tensor_file import CheckpointError, inventory, read
from levo.kinds import Kind
from levo.layers import int8, quantised, weights
from levo.layers.int8 import BLOCK, FEW_ROWS, Int8Linear
from levo.lelm.model import LeLM

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def rounded(dtype: torch.dtype = torch.float32, device: str = "cpu", config=tiny.LELM) -> LeLM:
    return LeLM(
        config, quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding), device=device, dtype=dtype
    )


def tiny_int8(dtype: torch.dtype = torch.float32) -> LeLM:
    return filled(rounded(dtype))


def written(path: Path, model: nn.Module, dtype: torch.dtype | None = None) -> Path:
    converted.save(path, model, Kind.LELM, tiny.LELM, ORIGIN, dtype, lambda done, total: None)
    return path


def assert_same(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert [n for n, t in ours.items() if t.dtype != theirs[n].dtype or not torch.equal(t, theirs[n])] == []


# ------------------------------------------------------------------ rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_weight_is_off_by_half_a_step_at_most(dtype: torch.dtype):
    weight = (torch.randn(200, 96, generator=torch.Generator().manual_seed(1)) / 50).to(dtype)
    numbers, scale = int8.quantise(weight)
    assert numbers.abs().max() == int8.LEVELS
    error = (int8.dequantise(numbers, scale) - weight.float()).abs()
    assert (error <= scale[:, None] * 0.5001).all()
    assert (error > scale[:, None] * 0.4).any()  # and no less: the steps are as wide as they should be


def test_rows_have_scales_of_their_own_which_bf16_holds():
    weight = torch.randn(3, 64, generator=torch.Generator().manual_seed(2)) * torch.tensor(
        [[1], [1e-3], [50]]
    )
    numbers, scale = int8.quantise(weight)
    assert (numbers.abs().amax(dim=1) >= int8.LEVELS - 1).all()
    assert torch.equal(scale.bfloat16().float(), scale)


def test_a_row_of_zeros_stays_zero():
    numbers, scale = int8.quantise(torch.zeros(2, 32))
    assert torch.equal(int8.dequantise(numbers, scale), torch.zeros(2, 32))


# ------------------------------------------------------------------ product


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 2, 5, FEW_ROWS, FEW_ROWS + 1, 300])
@pytest.mark.parametrize(("width_out", "width_in"), [(64, 96), (37, 48), (24, 40)])
def test_the_product_is_that_of_the_numbers_it_stands_for(
    dtype: torch.dtype, rows: int, width_out: int, width_in: int
):
    # 40 is no multiple of the kernel's step: it would crash there.
    random = torch.Generator().manual_seed(rows)
    numbers, scale = int8.quantise(torch.randn(width_out, width_in, generator=random))
    x = torch.randn(rows, width_in, generator=random).to(dtype)
    made = int8.product(x, numbers, scale)
    assert (made.dtype, made.shape) == (dtype, (rows, width_out))
    assert relative(made, x.float() @ int8.dequantise(numbers, scale).t()) < 5e-3


def test_few_rows_take_the_kernel_and_many_do_not():
    calls = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append(func.__name__)
            return func(*args, **(kwargs or {}))

    numbers, scale = int8.quantise(torch.randn(8, 32))
    for rows, width, fast in ((FEW_ROWS, 32, True), (FEW_ROWS + 1, 32, False), (2, 24, False)):
        calls.clear()
        with Watch():
            int8.product(torch.randn(rows, width), numbers[:, :width].contiguous(), scale)
        assert any("int8pack" in call for call in calls) == fast


def dequantised(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return (x.float() @ int8.dequantise(weight, scale).t()).to(x.dtype)


@pytest.mark.parametrize(("rows", "used"), [(1, True), (4, True), (5, False)])
def test_a_kernel_takes_as_many_rows_as_it_can(rows: int, used: bool):
    calls = []

    def multiply(*given: Tensor) -> Tensor:
        calls.append(given[0].shape)
        return dequantised(*given)

    numbers, scale = int8.quantise(torch.randn(8, 32))
    x = torch.randn(rows, 1, 32)
    made = int8.product(x, numbers, scale, quantised.Kernel("", 4, multiply))
    assert relative(made, x @ int8.dequantise(numbers, scale).t()) < 5e-3
    assert calls == ([(rows, 32)] if used else [])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("wrong", "right"), [(1.0, True), (1.02, False), (float("nan"), False)])
def test_a_kernel_is_tried_before_it_is_trusted(dtype: torch.dtype, wrong: float, right: bool):
    kernel = quantised.Kernel("", 4, lambda *given: dequantised(*given) * wrong)
    assert kernel.is_right(Int8Linear, torch.device("cpu"), dtype) == right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cached", [1, 2_000, 10**9])
def test_a_matrix_is_dequantised_block_by_block(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, cached: int
):
    monkeypatch.setattr(quantised, "CACHED_BYTES", cached)
    random = torch.Generator().manual_seed(0)
    numbers, scale = int8.quantise(torch.randn(37, 48, generator=random))
    x = torch.randn(20, 48, generator=random).to(dtype)
    made = quantised.by_blocks(x, numbers, scale, int8.dequantise)
    expected = x.double() @ int8.dequantise(numbers, scale).double().t()
    assert (made.shape, made.dtype) == ((20, 37), dtype)
    assert relative(made, expected.float()) < 2 * torch.finfo(dtype).eps


def test_sums_of_bytes_that_fp16_could_not_hold_are_scaled_first():
    numbers, scale = int8.quantise(torch.full((3, 11_008), 0.02))
    made = quantised.by_blocks(torch.full((2, 11_008), 2.0).half(), numbers, scale, int8.dequantise)
    torch.testing.assert_close(made.float(), torch.full((2, 3), 440.32), rtol=5e-3, atol=0)


@pytest.mark.parametrize("place", ["meta"])
def test_off_the_cpu_the_shapes_and_dtypes_are_the_same(place: str):
    weight = torch.empty(8, 32, dtype=torch.int8, device=place)
    x = torch.empty(2, 3, 32, dtype=torch.bfloat16, device=place)
    made = int8.product(x, weight, torch.empty(8, device=place))
    assert (made.shape, made.dtype, str(made.device)) == ((2, 3, 8), torch.bfloat16, place)


def test_rows_of_a_strided_batch_are_taken_as_they_are():
    numbers, scale = int8.quantise(torch.randn(8, 32))
    x = torch.randn(2, 5, 32)
    assert torch.equal(int8.product(x[:, -1], numbers, scale), int8.product(x, numbers, scale)[:, -1])


# ------------------------------------------------------------------ the model and its files


def test_blocks_heads_and_tables_of_texts_are_int8_and_nothing_else():
    model = rounded(torch.bfloat16)
    small = {name for name, tensor in model.state_dict().items() if tensor.dtype == torch.int8}
    assert small == {
        name
        for name in LAYOUT.sources
        if name.startswith("heads.")
        or name.endswith(("qkv.weight", "out.weight", "up.weight", "down.weight"))
        if not name.startswith("bridge")
    } | {"conditioner.lyric.weight", "conditioner.style.weight"}
    kinds = {tensor.dtype for name, tensor in model.state_dict().items() if not name.endswith(".scale")}
    assert kinds == {torch.int8, torch.bfloat16}


def test_a_released_file_is_rounded_as_its_float_model_would_be(tmp_path: Path):
    torch.save(released_tensors(LeLM(tiny.LELM, device="meta"), LAYOUT), tmp_path / "model.pt")
    plain, model = LeLM(tiny.LELM), rounded()
    checkpoints.load_weights(plain, tmp_path / "model.pt", LAYOUT)
    checkpoints.load_weights(model, tmp_path / "model.pt", LAYOUT)
    ours, theirs = model.state_dict(), plain.state_dict()
    for name, tensor in theirs.items():
        if ours[name].dtype != torch.int8:
            assert torch.equal(ours[name], tensor)
            continue
        numbers, scale = int8.quantise(tensor)
        assert torch.equal(ours[name], numbers)
        assert torch.equal(ours[name.removesuffix("weight") + "scale"], scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_table_gives_the_rows_of_ids_as_floats_of_its_dtype(dtype: torch.dtype):
    rows, ids = torch.randn(40, 16), torch.tensor([[0, 39, 7], [7, 7, 1]])
    table = int8.Int8Embedding(40, 16, dtype=dtype)
    weights.assign(table, [("weight", rows)])
    made = table(ids)
    assert made.dtype == dtype and made.shape == (2, 3, 16)
    assert torch.equal(made, int8.dequantise(*int8.quantise(rows))[ids].to(dtype))
    torch.testing.assert_close(made.float(), rows[ids], atol=0.02, rtol=0)


def test_no_copy_of_a_matrix_is_made_on_the_way():
    weight, made = torch.randn(5 * BLOCK, 64), []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            known = {x.untyped_storage().data_ptr() for x in args if isinstance(x, Tensor)}
            if isinstance(out, Tensor) and out.untyped_storage().data_ptr() not in known:
                made.append(out.nbytes)
            return out

    with Watch():
        numbers, _ = int8.quantise(weight)
    made.remove(numbers.nbytes)
    assert 0 < max(made) <= BLOCK * 64 * 4


def test_a_saved_int8_model_loads_to_the_same_bits_without_a_copy(tmp_path: Path):
    model = tiny_int8()
    path = written(tmp_path / "lelm.safetensors", model)
    loaded = rounded()
    own = {name: tensor.data_ptr() for name, tensor in loaded.state_dict().items()}
    checkpoints.load_weights(loaded, path, LAYOUT)
    assert_same(loaded, model)
    assert all(tensor.data_ptr() != own[name] for name, tensor in loaded.state_dict().items())
    assert not any(parameter.requires_grad for parameter in loaded.stage1.blocks[0].qkv.parameters())


def test_the_bytes_survive_a_load_whose_activations_have_another_dtype(tmp_path: Path):
    path = written(tmp_path / "lelm.safetensors", tiny_int8())
    loaded = rounded(torch.bfloat16)
    checkpoints.load_weights(loaded, path, LAYOUT)
    assert_same(loaded.stage1.blocks[1].down, tiny_int8().stage1.blocks[1].down)
    assert loaded.bridge_in.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_int8_file_fills_a_float_model_with_what_it_stands_for(tmp_path: Path, dtype: torch.dtype):
    path = written(tmp_path / "lelm.safetensors", tiny_int8())
    loaded = LeLM(tiny.LELM, dtype=dtype)
    checkpoints.load_weights(loaded, path, LAYOUT)
    layer = tiny_int8().heads[2]
    assert torch.equal(loaded.heads[2].weight, int8.dequantise(layer.weight, layer.scale).to(dtype))


def test_a_converted_float_file_is_rounded_as_it_loads(tmp_path: Path):
    plain, model = LeLM(tiny.LELM), rounded()
    tiny.init_weights(plain)
    checkpoints.load_weights(model, written(tmp_path / "lelm.safetensors", plain), LAYOUT)
    assert_same(model, tiny_int8())


def test_a_file_from_before_tables_were_int8_is_rounded_as_it_loads(tmp_path: Path):
    before, model = LeLM(tiny.LELM, quantised.operations(nn, Int8Linear)), rounded()
    tiny.init_weights(before)
    path = written(tmp_path / "lelm.safetensors", before)
    assert read(path)["conditioner.lyric.weight"].dtype == torch.float32
    checkpoints.load_weights(model, path, LAYOUT)
    assert_same(model, tiny_int8())


def test_an_int8_model_is_not_written_in_another_dtype(tmp_path: Path):
    with pytest.raises(CheckpointError, match="choose `as loaded`, or load it in the dtype"):
        written(tmp_path / "lelm.safetensors", tiny_int8(), torch.bfloat16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("build", [rounded, partial(LeLM, tiny.LELM)], ids=["int8", "float"])
def test_a_file_that_lost_a_scale_is_refused_by_its_name(tmp_path: Path, build):
    model = tiny_int8()
    del model.heads[1].scale
    path = written(tmp_path / "lelm.safetensors", model)
    with pytest.raises(CheckpointError, match=r"missing: heads\.1\.scale"):
        checkpoints.load_weights(build(), path, LAYOUT)


def test_weights_that_lie_askew_are_multiplied_too():
    random = torch.Generator().manual_seed(0)
    numbers, scale = int8.quantise(torch.randn(8, 32, generator=random))
    askew = torch.empty(8 * 32 + 4, dtype=torch.int8)[4:].view(8, 32).copy_(numbers)
    x = torch.randn(2, 32, generator=random)
    assert relative(int8.product(x, askew, scale), int8.product(x, numbers, scale)) < 5e-3


def test_mapped_bytes_lie_as_the_kernel_wants_them(tmp_path: Path):
    loaded = rounded()
    checkpoints.load_weights(loaded, written(tmp_path / "lelm.safetensors", tiny_int8()), LAYOUT)
    layers = [layer for layer in loaded.modules() if isinstance(layer, Int8Linear)]
    assert {layer.weight.data_ptr() % int8.KERNEL_STEP for layer in layers} == {0}


def test_the_file_holds_bytes(tmp_path: Path):
    path = written(tmp_path / "lelm.safetensors", tiny_int8(torch.bfloat16))
    assert checkpoints.lelm_config(path) == tiny.LELM
    assert inventory(path).tensors.keys() == rounded().state_dict().keys()
    assert read(path)["heads.0.weight"].dtype == torch.int8
