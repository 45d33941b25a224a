"""LeLM in half precision: how far logits move, which is why fp16 is taken where it is fast."""

from __future__ import annotations

import pytest
import torch
from support.rounded_models import MODELS, logits_of, models
from support.small_models import relative

from levo.config import END
from levo.layers import weights
from levo.lelm.model import LeLM

# A number is off by up to 2 ** -9 of itself in bf16 and 2 ** -12 in fp16, as squares by 0.58 of that.
# On the way from a code to a logit some hundred such errors add up, as squares.
LIMITS = {torch.bfloat16: 0.02, torch.float16: 0.0025}


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("name", MODELS)
def test_fp16_rounds_an_eighth_of_what_bf16_does(name: str):
    plain, _, codes = models(name)
    wanted, errors = logits_of(plain, codes), {}
    for dtype in LIMITS:
        model = LeLM(plain.config, dtype=dtype)
        weights.assign(model, plain.state_dict().items())
        errors[dtype] = relative(logits_of(model, codes)[..., :END], wanted[..., :END])
    assert all(error < LIMITS[dtype] for dtype, error in errors.items()), errors
    assert errors[torch.float16] < errors[torch.bfloat16] / 5, errors
