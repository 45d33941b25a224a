"""The models under ComfyUI's memory manager on a card too small for them: what does not fit streams."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.inside import findings_of
from torch import nn

from levo import tiny
from levo.layers import int8, quantised
from levo.lelm.model import LeLM

MODELS = [
    f"{model} {layers}"
    for model in ("lelm", "renderer", "vae", "style_encoder")
    for layers in ("plain", "cast")
]
MODELS += ["lelm int8", "renderer fp8"]
TIGHT = ["0.0", "0.1", "0.5"]  # shares of the model that fit
ALL = "2.0"
SMALL = LeLM(
    tiny.LELM, quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding), device="meta"
).state_dict()
ROUNDED = {name for name, tensor in SMALL.items() if tensor.dtype == torch.int8}
SHAPES = {name: tensor.shape for name, tensor in LeLM(tiny.LELM, device="meta").state_dict().items()}


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What partial_load.py saw: by model and layer classes, then by share."""
    return findings_of("partial_load.py")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_nothing_that_comfyui_cannot_stream(findings: dict[str, Any], model: str):
    assert findings[model]["structure"] == {"buffers": [], "raw_above_others": [], "not_castable": []}


@pytest.mark.parametrize("share", TIGHT)
@pytest.mark.parametrize("model", MODELS)
def test_what_does_not_fit_stays_behind_and_streams(findings: dict[str, Any], model: str, share: str):
    seen = findings[model]["shares"][share]
    assert 0 < seen["behind"] <= seen["modules"]
    assert seen["behind_not_streaming"] == 0


@pytest.mark.parametrize("model", MODELS)
def test_half_a_card_holds_some_layers_and_a_large_one_all(findings: dict[str, Any], model: str):
    shares = findings[model]["shares"]
    assert shares["0.0"]["behind"] == shares["0.0"]["modules"]
    assert shares["0.5"]["behind"] < shares["0.5"]["modules"]
    assert shares[ALL]["behind"] == 0


@pytest.mark.parametrize("share", [*TIGHT, ALL])
@pytest.mark.parametrize("model", MODELS)
def test_a_run_never_mixes_devices(findings: dict[str, Any], model: str, share: str):
    seen = findings[model]["shares"][share]
    assert seen["failure"] == ""
    assert seen["crossings"] == []
    assert seen["devices"] == ["meta"]


@pytest.mark.parametrize("share", TIGHT)
@pytest.mark.parametrize("model", MODELS)
def test_a_model_loaded_in_part_computes_the_same_numbers(findings: dict[str, Any], model: str, share: str):
    seen = findings[model]["shares"][share]
    assert seen["finite"]
    assert seen["same"]


def test_comfyui_is_told_the_size_of_int8_weights(findings: dict[str, Any]):
    fp32 = sum(math.prod(shape) for shape in SHAPES.values()) * 4
    large = sum(math.prod(shape) for name, shape in SHAPES.items() if name in ROUNDED)
    scales = sum(SHAPES[name][0] for name in ROUNDED) * 4
    assert findings["lelm plain"]["bytes"] == fp32
    assert findings["lelm int8"]["bytes"] == fp32 - 3 * large + scales


def test_the_checks_see_the_faults_of_a_careless_model(findings: dict[str, Any]):
    careless = findings["careless plain"]
    assert careless["structure"] == {
        "buffers": ["table"],
        "raw_above_others": [""],
        "not_castable": ["", "inner"],
    }
    assert careless["shares"]["0.0"]["behind_not_streaming"] == 2
    assert careless["shares"]["0.0"]["crossings"]
