"""The kernels of products with few bits in Triton's interpreter: numbers, edges, strides, repetition.

`test_int8_interpreted.py` runs this file in a process of its own, with TRITON_INTERPRET=1, which Triton
reads when it is imported. There the kernels widen weights and x to fp32, since the interpreter knows
neither PTX nor products of bf16.
"""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

from levo.layers import int4, int8_attention, int8_attention_triton, quantised_triton
from levo.layers.quantised_triton import STEP, Tiling, tiling

assert os.environ.get("TRITON_INTERPRET") == "1"

ROWS = [1, 2, 3, 8, 9, 16]
DTYPES = [torch.float16, torch.bfloat16]
WIDTHS_OUT = [1, 131]  # less than a tile, and some and a few rows
WIDTHS_IN = [7, STEP, 1_300]  # less than a step, one, and some


def divided(rows: int, width_in: int, splits: int) -> Tiling:
    """As on a large card, but with up to so many splits, however narrow the matrix."""
    usual = tiling(rows, 1, width_in, 132)
    steps = usual.steps * usual.splits
    each = -(-steps // splits)
    return usual._replace(splits=-(-steps // each), steps=each)


def example(rows: int, width_out: int, width_in: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    seed = torch.Generator().manual_seed(rows + width_out + width_in)
    x = torch.randn(rows, width_in, generator=seed).to(dtype)
    weight = torch.randint(-128, 128, (width_out, width_in), generator=seed, dtype=torch.int8)
    return x, weight, torch.rand(width_out, generator=seed) / 64


def example_of_halves(rows: int, width_out: int, width_in: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    seed = torch.Generator().manual_seed(rows + width_out + width_in)
    x = torch.randn(rows, width_in, generator=seed).to(dtype)
    groups = int4.groups(width_in)
    weight = torch.randint(0, 256, (width_out, groups * int4.HALF), generator=seed).to(torch.uint8)
    return x, weight, torch.randn(width_out, groups, generator=seed).bfloat16()


def as_floats(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """[out, in] float64 that weights stand for."""
    if weight.dtype == torch.int8:
        return weight.double() * scale.double()[:, None]
    return int4.dequantise(weight, scale)[:, : x.shape[1]].double()


def assert_right(y: Tensor, x: Tensor, weight: Tensor, scale: Tensor) -> None:
    """Compare with float64.

    A product has 11 + 8 bits at most, so fp32 holds it. Each of width_in - 1 sums, in whatever order, and
    the scaling may round by 2**-24 of the sizes summed; y is rounded to its dtype once. The interpreter
    cuts bf16 off, so there it is a whole step and not half of one.
    """
    matrix = as_floats(x, weight, scale)
    exact = x.double() @ matrix.T
    sizes = x.double().abs() @ matrix.abs().T
    dtype = torch.finfo(y.dtype)
    step = dtype.eps if y.dtype == torch.bfloat16 else dtype.eps / 2
    summed = sizes * x.shape[1] * 2.0**-24
    limit = summed + (exact.abs() + summed) * step + dtype.smallest_normal * step
    assert y.shape == exact.shape and y.dtype == x.dtype
    assert ((y.double() - exact).abs() <= limit).all()


EXAMPLES = [example, example_of_halves]


@pytest.fixture(autouse=True)
def dirty(monkeypatch: pytest.MonkeyPatch) -> None:
    """New memory is full of NaN, as it may be on a card."""
    empty = Tensor.new_empty

    def dirtied(like: Tensor, *shape: int, **other: str) -> Tensor:
        made = empty(like, *shape, **other)
        return made.fill_(torch.nan) if made.is_floating_point() else made

    monkeypatch.setattr(Tensor, "new_empty", dirtied)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("width_in", WIDTHS_IN)
@pytest.mark.parametrize("width_out", WIDTHS_OUT)
@pytest.mark.parametrize("rows", ROWS)
def test_numbers(rows: int, width_out: int, width_in: int, splits: int, dtype: torch.dtype, example):
    given = example(rows, width_out, width_in, dtype)
    y = quantised_triton._launch(*given, divided(rows, width_in, splits))
    assert_right(y, *given)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("splits", [1, 2])
def test_parts_of_a_row_of_weights_side_by_side(parts: int, splits: int, example):
    given = example(2, 37, 1_100, torch.float16)
    steps = -(-1_100 // (parts * STEP * splits))
    assert_right(quantised_triton._launch(*given, Tiling(False, parts, splits, steps)), *given)


@pytest.mark.parametrize("splits", [1, 2, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_are_the_same_every_time(splits: int, dtype: torch.dtype):
    given = example(8, 70, 1_300, dtype)
    plan = divided(8, 1_300, splits)
    assert plan.splits == splits
    once, again = (quantised_triton._launch(*given, plan) for _ in range(2))
    assert torch.equal(once.view(torch.int16), again.view(torch.int16))


@pytest.mark.parametrize("rows", [2, 16])
def test_rows_may_lie_apart_and_begin_anywhere(rows: int):
    x, weight, scale = example(rows, 70, 330, torch.float16)
    wide_x, wide_weight = (
        torch.full((rows, 401), torch.nan).half(),
        torch.full((70, 350), 99).to(torch.int8),
    )
    wide_x[:, 3:333], wide_weight[:, 5:335] = x, weight
    given = wide_x[:, 3:333], wide_weight[:, 5:335], scale
    assert_right(quantised_triton._launch(*given, divided(rows, 330, 2)), *given)


def test_a_product_divides_itself_by_the_size_of_the_card(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quantised_triton, "_multiprocessors", lambda device: 132)
    given = example(16, 65, 8_200, torch.float16)
    assert tiling(16, 65, 8_200, 132).splits > 1
    assert_right(quantised_triton.product(*given), *given)


# ------------------------------------------------------------------ attention to bytes


@pytest.mark.parametrize("width", [128, 16, 24])
@pytest.mark.parametrize(
    ("rows", "capacity", "length", "span"),
    [(2, 512, 300, 512), (8, 256, 1, 256), (2, 768, 513, 768), (2, 768, 256, 512)],
)
def test_attention_to_bytes(rows: int, capacity: int, length: int, span: int, width: int):
    heads, seed = 3, torch.Generator().manual_seed(length)
    numbers, scales = int8_attention.quantise(torch.randn(2, rows, heads, capacity, width, generator=seed))
    means = torch.randn(rows, heads, width, generator=seed)
    turned = torch.randn(rows, 1, 3, heads, width, generator=seed).half().permute(2, 0, 3, 1, 4)
    at, lengths = torch.tensor([length - 1]), torch.full((rows,), length, dtype=torch.int32)
    ours, torchs = (numbers, scales), (numbers.clone(), scales.clone())
    attended = int8_attention_triton.attend(turned, *ours, means, lengths, span)
    int8_attention.append(*torchs, means, at, turned[1:])
    assert torch.equal(ours[1], torchs[1])
    assert (ours[0].int() - torchs[0]).abs().max() <= 1  # halves are rounded to even by torch alone
    keys, values = int8_attention.dequantise(*ours, torch.float64)[..., :length, :]
    scores = turned[0].double() @ keys.transpose(2, 3) * width**-0.5
    exact = (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
    assert attended.dtype == torch.float16 and attended.shape == (rows, 1, heads * width)
    assert (attended.double() - exact).norm() / exact.norm() < 1e-3
    again = int8_attention_triton.attend(turned, *ours, means, lengths, span)
    assert torch.equal(attended, again)
