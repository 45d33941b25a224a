"""Products with few bits by Triton: how they are divided, and where they run.

What a compiler makes of the kernels is in slow/test_quantised_compiled.py.
"""

from __future__ import annotations

import runpy
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from levo.layers import quantised_triton
from levo.layers.quantised_triton import (
    CARD_RATE,
    COLUMNS,
    LAUNCH,
    MAX_ROWS,
    PROGRAM_RATE,
    STAGES,
    STEP,
    TILE,
    tiling,
)

LARGE = [(6_144, 2_048), (2_048, 2_048), (22_016, 2_048), (2_048, 11_008), (16_385, 2_048)]
MEDIUM = [(4_608, 1_536), (1_536, 1_536), (17_920, 1_536), (1_536, 8_960), (16_385, 1_536)]
CARDS = [132, 46, 24]  # multiprocessors
# (parts, splits) for 2, 4, 8 and 16 rows, a line a matrix as above.
DIVISIONS = {
    132: """
        4,1 2,1 1,1 1,1
        4,1 2,1 1,4 1,4
        1,1 1,1 1,1 1,1
        4,1 2,3 1,6 1,6
        2,1 2,1 1,1 1,1
        4,1 2,1 1,1 1,1
        4,1 2,1 1,3 1,3
        1,1 1,1 1,1 1,1
        4,2 2,4 1,7 1,7
        2,1 2,1 1,1 1,1""",
    46: """
        1,1 1,1 1,1 1,1
        4,1 2,1 1,1 1,1
        1,1 1,1 1,1 1,1
        4,1 2,1 1,2 1,2
        1,1 1,1 1,1 1,1
        2,1 2,1 1,1 1,1
        4,1 2,1 1,1 1,1
        1,1 1,1 1,1 1,1
        4,1 2,1 1,3 1,3
        1,1 1,1 1,1 1,1""",
    24: """
        1,1 1,1 1,1 1,1
        2,1 2,1 1,1 1,1
        1,1 1,1 1,1 1,1
        2,1 2,1 1,1 1,1
        1,1 1,1 1,1 1,1
        1,1 1,1 1,1 1,1
        2,1 2,1 1,1 1,1
        1,1 1,1 1,1 1,1
        2,1 2,1 1,2 1,2
        1,1 1,1 1,1 1,1""",
}
EVERY = [(rows, *matrix) for rows in range(1, MAX_ROWS + 1) for matrix in LARGE + MEDIUM]


def table(text: str) -> list[list[tuple[int, ...]]]:
    lines = text.strip().splitlines()
    return [[tuple(int(number) for number in pair.split(",")) for pair in line.split()] for line in lines]


# ------------------------------------------------------------------ how a product is divided


@pytest.mark.parametrize("multiprocessors", CARDS)
def test_divisions_are_these(multiprocessors: int):
    plans = [
        [tiling(rows, *matrix, multiprocessors) for rows in (2, 4, 8, 16)] for matrix in LARGE + MEDIUM
    ]
    assert [[(plan.parts, plan.splits) for plan in line] for line in plans] == table(
        DIVISIONS[multiprocessors]
    )


@pytest.mark.parametrize("multiprocessors", CARDS)
def test_splits_cover_a_row_and_none_is_empty(multiprocessors: int):
    for rows, width_out, width_in in [*EVERY, (2, 1, 1), (16, 3, 129), (1, 1, 100_000)]:
        wide, parts, splits, steps = tiling(rows, width_out, width_in, multiprocessors)
        each = steps * parts * STEP
        assert (splits - 1) * each < width_in <= splits * each
        assert wide == (rows > COLUMNS)
        assert parts == 1 or parts * rows <= COLUMNS
        assert splits == 1 or steps >= STAGES[8] - 1


@pytest.mark.parametrize("multiprocessors", CARDS)
def test_no_program_outlasts_the_reading_of_all_weights_by_more_than_a_launch(multiprocessors: int):
    for rows, width_out, width_in in EVERY:
        plan = tiling(rows, width_out, width_in, multiprocessors)
        program = plan.steps * TILE * STEP / PROGRAM_RATE
        memory = width_out * width_in / (CARD_RATE * multiprocessors)
        shortest = (2 * (STAGES[8] - 1) - 1) * TILE * STEP / PROGRAM_RATE  # longer ones can be split
        assert program <= max(memory, shortest) + LAUNCH


@pytest.mark.parametrize("multiprocessors", CARDS)
def test_a_split_makes_a_program_for_every_multiprocessor_or_is_as_fine_as_can_be(multiprocessors: int):
    for rows, width_out, width_in in EVERY:
        plan = tiling(rows, width_out, width_in, multiprocessors)
        programs = -(-width_out * plan.parts // TILE) * plan.splits
        assert plan.splits == 1 or programs >= multiprocessors or plan.steps == STAGES[8] - 1


# ------------------------------------------------------------------ where it runs, and with what


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(quantised_triton, "_kernels", lambda: ModuleType("kernels"))


def test_it_runs_on_a_card_of_ampere_or_newer(ampere: None, monkeypatch: pytest.MonkeyPatch):
    assert quantised_triton.is_available(torch.device("cuda", 0))
    assert not quantised_triton.is_available(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not quantised_triton.is_available(torch.device("cuda", 0))


def test_it_does_not_run_without_triton_or_with_rocm(ampere: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert not quantised_triton.is_available(torch.device("cuda"))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(quantised_triton, "_kernels", lambda: None)
    assert not quantised_triton.is_available(torch.device("cuda"))


@pytest.mark.parametrize("triton", [None, SimpleNamespace(__version__="3.4.0+git")])
def test_a_missing_or_old_triton_is_noticed_only_when_asked_for(triton, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "triton", triton)
    assert runpy.run_path(quantised_triton.__file__)["MAX_ROWS"] == MAX_ROWS
    assert quantised_triton._kernels.__wrapped__() is None


def arguments(**other: torch.Tensor) -> list[torch.Tensor]:
    given = {
        "x": torch.zeros(2, 32, dtype=torch.float16),
        "weight": torch.zeros(5, 32, dtype=torch.int8),
        "scale": torch.ones(5),
    }
    return list((given | other).values())


@pytest.mark.parametrize(
    "other",
    [
        {"x": torch.zeros(2, 3, 32).half()},
        {"x": torch.zeros(2, 31).half()},
        {"x": torch.zeros(2, 0).half(), "weight": torch.zeros(5, 0, dtype=torch.int8)},
        {"x": torch.zeros(0, 32).half()},
        {"x": torch.zeros(17, 32).half()},
        {"x": torch.zeros(2, 32)},
        {"weight": torch.zeros(5, 32)},
        {"scale": torch.ones(4)},
        {"scale": torch.ones(5).bfloat16()},
        {"scale": torch.ones(10)[::2]},
        {"x": torch.zeros(32, 2).half().T},
        {"weight": torch.zeros(32, 5, dtype=torch.int8).T},
        {"scale": torch.ones(5, device="meta")},
    ],
    ids=lambda other: ", ".join(f"{name} {[*x.shape]} {x.dtype} {x.device}" for name, x in other.items()),
)
def test_other_tensors_are_refused(other: dict[str, torch.Tensor]):
    with pytest.raises(ValueError, match="^(The kernel|A product)"):
        quantised_triton.product(*arguments(**other))
