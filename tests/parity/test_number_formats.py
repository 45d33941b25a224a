"""Models in small number formats on the golden files' sizes: how far what they compute moves."""

from __future__ import annotations

import pytest
import torch
from support import golden_outputs as golden
from support.rounded_models import MODELS, fp8_lelm, logits_of, logits_of_fixed, models, some_conditions
from support.small_models import relative
from torch import nn

from levo.config import END
from levo.layers import fbgemm, int4_cpu, weights
from levo.layers.fbgemm import PackedInt8Linear
from levo.layers.int4 import Int4Linear
from levo.layers.int4_cpu import PackedInt4Linear
from levo.layers.int8 import Int8Linear
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.renderer.solver import solve

pytestmark = pytest.mark.usefixtures("inference", "one_thread")

# Half precision: a number is off by up to 2 ** -9 of itself in bf16 and 2 ** -12 in fp16, as squares by
# 0.58 of that. On the way from a code to a logit some hundred such errors add up, as squares.
HALF_LIMITS = {torch.bfloat16: 0.02, torch.float16: 0.0025}
LAYERS = [Int8Linear, *([PackedInt8Linear] if fbgemm.is_available() else [])]
# Int8: a row of normal numbers ends near 3 to 4 deviations, so a step is about 3.5 / 127 of one and its
# rounding 1 / sqrt(12) of that: 0.8 %. bf16 adds 0.3 % on a CPU. Errors of the matrices on the way from a
# code to a logit (at most 22 here) add as squares, and most of them enter beside an undisturbed residual.
INT8_LIMIT = 0.05
# Logits of random weights are normal numbers too: the largest of 16,385 leads by 0.23 deviations on average
# and an error of 2 % turns every tenth. Trained weights lead by more.
INT8_AGREEMENT = 0.8
# Fp8, three bits of mantissa: a number is off by up to 1/16 of itself, 2.6 % as squares are averaged (below
# 1/64 by up to 1/1024, which is more). That is three times int8's 0.8 %, and so is what comes of it.
FP8_LIMIT = 0.15
FP8_AGREEMENT = 0.5
SONGS = ["lelm_v2_all_end", "lelm_v2_ban", "lelm_v2_bgm", "lelm_v2_eos"]  # the short ones


@pytest.mark.parametrize("name", MODELS)
def test_fp16_rounds_an_eighth_of_what_bf16_does(name: str):
    plain, _, codes = models(name)
    expected, errors = logits_of(plain, codes), {}
    for dtype in HALF_LIMITS:
        model = LeLM(plain.config, dtype=dtype)
        weights.assign(model, plain.state_dict().items())
        errors[dtype] = relative(logits_of(model, codes)[..., :END], expected[..., :END])
    assert all(error < HALF_LIMITS[dtype] for dtype, error in errors.items()), errors
    assert errors[torch.float16] < errors[torch.bfloat16] / 5, errors


@pytest.mark.parametrize("linear", LAYERS)
@pytest.mark.parametrize("name", MODELS)
def test_logits_of_int8_stay_close_to_those_of_float_weights(name: str, linear: type[Int8Linear]):
    plain, model, codes = models(name, linear)
    expected, made = logits_of(plain, codes), logits_of(model, codes)
    error = relative(made[..., :END], expected[..., :END])  # golden END rows are long, to end songs on time
    agreement = float((made.argmax(-1) == expected.argmax(-1)).float().mean())
    report = f"{name}: relative error of logits {error:.4f}, equal argmax {agreement:.3f}"
    assert 1e-4 < error <= INT8_LIMIT, report  # below that nothing was rounded
    assert agreement >= INT8_AGREEMENT, report


@pytest.mark.parametrize("name", MODELS)
def test_logits_of_fp8_stay_near_those_of_float_weights(name: str):
    plain, _, codes = models(name)
    model = fp8_lelm(config=plain.config)
    model.load_state_dict(plain.state_dict())
    expected, made = logits_of(plain, codes), logits_of(model, codes)
    error = relative(made[..., :END], expected[..., :END])
    agreement = float((made.argmax(-1) == expected.argmax(-1)).float().mean())
    report = f"{name}: relative error of logits {error:.4f}, equal argmax {agreement:.3f}"
    assert 1e-3 < error <= FP8_LIMIT, report
    assert agreement >= FP8_AGREEMENT, report


@pytest.mark.parametrize(
    "linear",
    [
        Int4Linear,
        pytest.param(
            PackedInt4Linear,
            marks=pytest.mark.skipif(not int4_cpu.is_available(), reason="torch has no fast kernel here"),
        ),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_logits_of_int4_are_near_those_of_floats(name: str, linear: type[Int4Linear]):
    plain, small, codes = models(name, linear)
    assert 0.01 < relative(logits_of(small, codes), logits_of(plain, codes)) < 0.75


@pytest.mark.parametrize("name", MODELS)
def test_logits_of_keys_and_values_in_bytes_are_as_near_as_those_of_bf16(name: str):
    plain, _, codes = models(name)
    small, exact = (logits_of_fixed(plain, some_conditions(plain), codes, cache) for cache in (True, False))
    assert 1e-4 < relative(small, exact) < 0.015


def halved(model: LeLM) -> LeLM:
    """The same model with fp16 matrices of FBGEMM."""
    other = LeLM(model.config, fbgemm.operations(nn))
    weights.assign(other, model.state_dict().items())
    return other


@pytest.mark.skipif(not fbgemm.is_available(), reason="this CPU has no FBGEMM")
@pytest.mark.parametrize("name", SONGS)
def test_weights_that_fp16_holds_sing_as_in_float32(name: str):
    file = golden.GoldenFile(golden.GOLDEN / f"{name}.safetensors")
    plain = golden.build_lelm(file, golden.lelm_config(file.meta))
    weights.assign(plain, [(n, tensor.half().float()) for n, tensor in plain.state_dict().items()])
    (expected,) = golden.sing(file, plain)
    for song in golden.sing(file, halved(plain), seeds=[1, 2]):
        assert torch.equal(song.raw, expected.raw)
        assert torch.equal(song.codes, expected.codes)
    assert expected.raw.shape[2]


def golden_error(model: Renderer, guidance: float, steps: int) -> float:
    """Error of the golden latents, in their deviations, averaged as squares."""
    file = golden.GoldenFile(golden.GOLDEN / "renderer.safetensors")
    codes = file.tensors["codes.vocal"][0], file.tensors["codes.bgm"][0]
    start = golden.named("noise.x", (1, codes[0].shape[1], 64), file.seed)
    known = model.normalise(golden.named("incontext.x", start.shape, file.seed)[:, :10])
    made = model.denormalise(solve(model, model.condition(*codes), start, known, steps, guidance))
    expected = file.tensors[f"latents.incontext10.cfg{guidance}.steps{steps}"].transpose(1, 2)
    return float((made - expected).square().mean().sqrt() / expected.std())


@pytest.fixture(scope="module")
def golden_model() -> Renderer:
    return golden.build_renderer(golden.GoldenFile(golden.GOLDEN / "renderer.safetensors"))


@pytest.mark.parametrize(("guidance", "steps"), [(1.0, 3)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_no_more_than_autocast_does(golden_model, dtype, guidance, steps):
    """The published code runs float32 weights under autocast to float16."""
    model = Renderer(golden_model.config, dtype=dtype)
    weights.assign(model, golden_model.state_dict().items())
    with torch.autocast("cpu", dtype):
        published = golden_error(golden_model, guidance, steps)
    assert 1e-4 < golden_error(model, guidance, steps) < 1.05 * published
