"""What benchmarks measure: loops beside ours that compute what ours computes, and runs that take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from itertools import count

import pytest
import torch
from bench import batches, composing, published_lelm, rendering, separating
from bench.composing import (
    at_depth,
    in_dtype,
    in_few_bits,
    in_fp16,
    pace,
    random_conditions,
    without_layers,
)
from bench.published_lelm import PublishedLeLM
from bench.table import in_turns, show
from support.small_models import filled

from levo import tiny
from levo.config import CODES, END, RendererConfig, Sampling
from levo.layers import int8, weights
from levo.lelm.compose import compose
from levo.lelm.conditions import Conditions
from levo.lelm.model import LeLM

pytestmark = pytest.mark.usefixtures("inference")

SMALL = replace(tiny.LELM, layers_sub=2, lyric_length=6, style_length=4, delays=(0, 3, 3))
GREEDY = Sampling(top_k=1)
FRAMES = 70  # more than the repetition window


@pytest.fixture
def model() -> LeLM:
    return filled(LeLM(SMALL))


@pytest.fixture
def asked() -> Conditions:
    return random_conditions(SMALL)


def logits(model: LeLM, asked: Conditions, codes: torch.Tensor) -> Iterator[torch.Tensor]:
    """Of our model: after the prefix and the first of [2, 3, T] codes, then after each other one."""
    caches = model.caches(2, SMALL.prefix_length + codes.shape[2], torch.empty(0))
    prefix = model.condition(asked)
    for step in range(codes.shape[2]):
        yield model(codes[:, :, step : step + 1], caches, None if step else prefix)


# The published loop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("louder_end", [1, 3], ids=["to the limit", "ends by itself"])
def test_the_published_loop_composes_the_same_codes(model, asked, louder_end):
    for head in model.heads:
        head.weight[END] *= louder_end
    (ours,) = compose(model, asked, FRAMES, GREEDY, run_out=True)
    assert ours.ended == (louder_end > 1)
    assert torch.equal(published_lelm.compose(PublishedLeLM(model), asked, FRAMES, GREEDY), ours.raw[0])


def test_the_published_loop_computes_the_same_logits(model, asked):
    codes = torch.randint(CODES, (2, 3, 5), generator=torch.Generator().manual_seed(1))
    plain, past, before = PublishedLeLM(model), {}, 0
    for step, expected in enumerate(logits(model, asked, codes)):
        prefix = None if step else model.condition(asked)
        streams = plain(codes[:, :, step : step + 1], past, before, prefix)
        before += streams[0].shape[1]
        given = torch.stack([stream[:, -1] for stream in streams], dim=1)
        torch.testing.assert_close(given, expected, atol=1e-4, rtol=0)
    assert before == SMALL.prefix_length + 5


def test_the_published_loop_draws_among_the_likeliest_codes(asked):
    torch.manual_seed(0)
    row = torch.zeros(2, 3, CODES + 1)
    row[:, :, 7], row[:, :, 8], row[:, :, 9] = 3.0, 2.0, 1.0
    how, nothing = Sampling(top_k=2), torch.empty(3, 1, dtype=torch.int64)
    drawn = [published_lelm.choose(row.clone(), nothing, 1, {7}, how).tolist() for _ in range(50)]
    assert {mixed for mixed, *_ in drawn} == {8, 9}
    assert {tuple(others) for _, *others in drawn} == {(7, 7)}


def test_the_published_loop_needs_no_memory_for_weights_of_its_own(model):
    layer, block = PublishedLeLM(model).stage1.layers[0], model.stage1.blocks[0]
    assert layer.query.data_ptr() == block.qkv.weight.data_ptr()
    assert layer.gate.data_ptr() == block.gate_up.weight.data_ptr()


# What is measured ----------------------------------------------------------------------------------------


def test_a_model_without_layers_is_one_whose_layers_add_nothing(model, asked):
    silent = deepcopy(model)
    for block in (*silent.stage1.blocks, *silent.stage2.blocks):
        block.out.weight.zero_()
        block.down.weight.zero_()
    codes = torch.zeros(2, 3, 2, dtype=torch.int64)
    given, expected = (list(logits(m, asked, codes)) for m in (without_layers(model), silent))
    torch.testing.assert_close(given, expected)


def test_a_copy_in_another_dtype_has_the_same_weights():
    made = composing.random_model(SMALL)
    half = in_dtype(made, torch.bfloat16)
    assert half.stage1.blocks[0].qkv.weight.dtype == torch.bfloat16
    for name, tensor in half.state_dict().items():
        assert torch.equal(tensor, made.state_dict()[name].bfloat16()), name


def test_an_fp16_copy_has_the_same_weights_rounded():
    made = composing.random_model(SMALL)
    half = in_fp16(made)
    for name, tensor in made.state_dict().items():
        expected = tensor.half().float() if weights.is_packed(half, name) else tensor
        assert torch.equal(weights.value(half, name), expected), name


def test_an_int8_copy_has_all_but_the_bridge_rounded():
    made = composing.random_model(SMALL)
    small = in_few_bits(made, "int8")
    rounded = [tensor for tensor in small.state_dict().values() if tensor.dtype == torch.int8]
    assert len(rounded) == 4 * (SMALL.layers + SMALL.layers_sub) + len(small.heads)
    layer, own = small.stage2.blocks[1].down, made.stage2.blocks[1].down
    nearest = int8.dequantise(layer.matrix(), layer.scale)
    torch.testing.assert_close(nearest, own.weight, atol=float(layer.scale.max()) / 2, rtol=0.01)


def test_the_begin_of_a_song_is_cut_off_after_the_timed_steps():
    steps = []

    def begin(on_step: Callable[[int, int], None]) -> None:
        for step in count(1):
            steps.append(step)
            on_step(step, 1000)

    assert pace(begin).step > 0
    assert steps[-1] == composing.STEPS


def test_depth_is_extrapolated_from_the_time_of_one_layer():
    measured = composing.LAYERS + composing.LAYERS_SUB
    assert at_depth(8.0, 2.0, measured) == 8
    assert at_depth(8.0, 2.0, 2 * measured) == 14


def test_cases_take_turns():
    order = []
    cases = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert in_turns(cases, 2) == {"a": [1, 3], "b": [2, 4]}
    assert order == list("abab")


def test_a_table_has_its_columns_one_below_the_other(capsys):
    show("title", ["", "steps/s"], [["published", "1.00"], ["ours", "12.50"]])
    assert capsys.readouterr().out.splitlines()[:4] == [
        "title",
        "           steps/s",
        "published     1.00",
        "ours         12.50",
    ]


def test_the_rendering_table_compares_flow_chunk_and_window(monkeypatch, capsys):
    small = RendererConfig(heads=2, inner=24, mask=8, condition=8, code_width=4, time=8, window=40)
    monkeypatch.setattr(rendering, "RendererConfig", lambda layers: replace(small, layers=layers))
    monkeypatch.setattr(rendering, "VaeConfig", lambda: replace(tiny.VAE, channels=2))
    monkeypatch.setattr(rendering, "FRAMES", 40)
    monkeypatch.setattr(rendering, "CHUNK", 16)
    rendering.report(1)
    title, head, *rows = capsys.readouterr().out.strip().splitlines()
    assert "medians of 1 rounds" in title
    assert head.split() == ["ours", "published", "x"]
    assert [row.split()[0] for row in rows] == ["flow", "decoding", "decoding"]
    assert all(row.endswith("x") for row in rows)


def test_songs_in_batches_are_compared_by_the_hour():
    alone, four = (batches.row(n, step, 10.0, 100.0, 0.1) for n, step in ((1, 0.1), (4, 0.2)))
    assert alone == ["1", "0.100", "8.78", "1.00x", "7.06", "1.00x"]  # 4000 steps of a song
    assert four[2:] == ["17.14", "1.95x", "11.61", "1.65x"]


@pytest.mark.parametrize("songs", [1, 3])
def test_steps_are_timed_in_the_middle_of_songs(model, monkeypatch, songs):
    monkeypatch.setattr(batches, "FRAMES", 40)
    seen = []
    forward = LeLM.forward
    monkeypatch.setattr(
        LeLM,
        "forward",
        lambda self, codes, *a, **k: seen.append(codes.shape) or forward(self, codes, *a, **k),
    )
    assert batches.step_seconds(model, songs) > 0
    assert seen == [(2 * songs, 3, 1)] * (batches.STEPS + 1)


def test_the_benchmark_of_splitting_checks_and_times_both_ways(capsys: pytest.CaptureFixture):
    separating.report(replace(tiny.SEPARATOR, segment=Fraction(1, 2)), 0.6, 1)
    out = capsys.readouterr().out
    for row in ("LeVo Split Vocals", "48 kHz", "apply_model", "seconds a minute of sound", "MB"):
        assert row in out
