"""Steps whose blocks are compiled by the real torch.compile compute what plain ones do."""

from __future__ import annotations

import pytest
import torch
from support.compiled_blocks import Counting, compiler
from support.scripted_models import any_conditions
from support.small_models import WIDER_LELM, filled

from levo.lelm.model import LeLM, Run

pytestmark = pytest.mark.usefixtures("inference")


@compiler
def test_compiled_steps_give_the_logits_of_plain_ones():
    model, conditions = filled(LeLM(WIDER_LELM)), any_conditions(WIDER_LELM)
    logits = {}
    for name, run in (("plain", Run()), ("compiled", Run(Counting()))):
        prefix = model.condition(conditions)
        growing = model.caches(2, 300, prefix.stage1)
        model(torch.full((2, 3, 1), 7), growing, prefix)
        caches = tuple(cache.fixed(512) for cache in growing)
        steps = [model(torch.full((2, 3, 1), code), caches, run=run) for code in (8, 9, 10)]
        logits[name] = torch.stack(steps)
    assert run.block.count == 3 * (WIDER_LELM.layers + WIDER_LELM.layers_sub)
    torch.testing.assert_close(logits["compiled"], logits["plain"], rtol=1e-5, atol=1e-5)
