"""Steps whose blocks are compiled: the same song, plainly where that fails. See slow/test_compiled.py."""

from __future__ import annotations

import logging

import pytest
import torch
from support.compiled_blocks import Counting
from support.scripted_models import any_conditions
from support.small_models import SMALL_LELM as SMALL
from support.small_models import filled
from torch import nn

from levo.layers import int8, quantised
from levo.lelm import fused
from levo.lelm.compose import Execution, compose
from levo.lelm.fused import FusedBlocks
from levo.lelm.model import LeLM, Run

pytestmark = pytest.mark.usefixtures("inference")


def small(operations=nn) -> LeLM:
    return filled(LeLM(SMALL, operations))


def test_blocks_with_other_matrices_run_as_they_are():
    model, blocks = small(quantised.operations(nn, int8.Int8Linear)), Counting()
    (plain,) = compose(model, any_conditions(SMALL), 8)
    (song,) = compose(model, any_conditions(SMALL), 8, execution=Execution(run=Run(blocks)))
    assert torch.equal(song.raw, plain.raw)
    assert blocks.count == 0


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImportError("no compiler found.\nat all"), "no compiler found"),
        (AssertionError(), "AssertionError"),
    ],
    ids=repr,
)
def test_where_compiling_fails_that_is_said_once_and_the_song_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    half: int,
    error: Exception,
    reason: str,
):
    def fail(*_: object) -> None:
        raise error

    halves = [fused.project, fused.finish]
    halves[half] = fail
    monkeypatch.setattr(fused, "_compiled", lambda: halves)
    model = small()
    (plain,) = compose(model, any_conditions(SMALL), 8)
    with caplog.at_level(logging.WARNING, logger=fused.__name__):
        (song,) = compose(model, any_conditions(SMALL), 8, execution=Execution(run=Run(FusedBlocks())))
    assert torch.equal(song.raw, plain.raw)
    assert caplog.messages == [f"LeLM runs without compiled steps ({reason})."]


def test_memory_that_runs_out_is_not_taken_for_a_compilers_fault(monkeypatch: pytest.MonkeyPatch):
    def exhaust(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(fused, "_compiled", lambda: (exhaust, exhaust))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        compose(small(), any_conditions(SMALL), 8, execution=Execution(run=Run(FusedBlocks())))
