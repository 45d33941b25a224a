"""Products with few bits by Triton, without a card: how they are divided, kernels compiled."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from support.triton_compiler import number, ptx

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

# Of `multiply`, as the compiler knows it: types, and which numbers are multiples of 16.
ADDRESSES = dict.fromkeys(("x_address", "weight_address", "scale_address", "y_address"), "i64")
NUMBERS = dict.fromkeys(("rows", "width_out", "width_in", "x_stride", "weight_stride"), "i32")
EVEN = (*ADDRESSES, "width_in", "x_stride", "weight_stride")
ODD_WIDTH = (*ADDRESSES,)


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


# ------------------------------------------------------------------ the kernels


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Compiles `multiply` to PTX, and that to machine code, for a card that need not be there."""
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    def compile_(card: int, even: tuple[str, ...], x: str, y: str, bits: int, **constants: object) -> str:
        numbers = {"NUMBER": number(x), "SUM": number(y)}
        constants = {"PTX": True, "ALIGNED": True, "BITS": bits} | numbers | constants
        kernel, options = quantised_triton._kernels().multiply, {"num_stages": STAGES[bits]}
        return ptx(kernel, card, ADDRESSES | NUMBERS, even, constants, num_warps=TILE // 16, **options)

    return compile_


FEW = {"y": "bf16", "STEPS": 22, "PARTS": 4, "WIDE": False, "WHOLE": True}
MANY = {"y": "fp32", "STEPS": 15, "PARTS": 1, "WIDE": True, "WHOLE": False}


@pytest.mark.parametrize("card", [80, 89, 90])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("x", "shape"), [("bf16", FEW), ("fp16", MANY)], ids=["few", "many"])
def test_cards_load_16_bytes_a_thread_and_multiply_by_tensor_cores(
    compiler, card: int, x: str, shape: dict, bits: int
):
    ptx = compiler(card, EVEN, x, bits=bits, **shape)
    copies = re.findall(r"cp\.async\.c[ag]\.shared\.global .*?, (0x\w+),", ptx)
    weights = TILE * STEP * bits // 8 // (16 * 32 * (TILE // 16))  # copies of a step, by each thread
    x_copies = (1 + shape["WIDE"]) * (8 // bits)  # half bytes take x in halves, 8 bytes a thread
    assert len(copies) == (weights + x_copies) * STAGES[bits]  # in the loop, and in each step before it
    assert copies.count("0x10") == (weights + (x_copies if bits == 8 else 0)) * STAGES[bits]
    assert set(copies) <= {"0x10", "0x8"}
    number = x.replace("fp", "f")
    product = f"mma.sync.aligned.m16n8k16.row.col.f32.{number}.{number}.f32"
    assert ptx.count(product) == ptx.count("mma") == STEP // 16 * (1 + shape["WIDE"])


def test_rows_that_begin_anywhere_compile_too(compiler):
    assert "mma.sync" in compiler(80, ODD_WIDTH, "fp16", bits=8, **MANY, ALIGNED=False)


@pytest.mark.parametrize("x", ["fp16", "bf16"])
def test_every_weight_is_widened_exactly(compiler, x: str):
    ptx = compiler(80, EVEN, x, bits=8, **MANY)
    block = next(block for block in ptx.split("// begin inline asm") if "prmt" in block)
    for first in range(0, 256, 4):
        four = bytes(range(first, first + 4))
        expected = torch.frombuffer(bytearray(four), dtype=torch.int8).tolist()
        assert widened(block, int.from_bytes(four, "little"), x) == expected


@pytest.mark.parametrize("x", ["fp16", "bf16"])
def test_every_half_byte_is_widened_exactly(compiler, x: str):
    ptx = compiler(80, EVEN, x, bits=4, **MANY)
    block = next(block for block in ptx.split("// begin inline asm") if "prmt" in block)
    for first in range(0, 256, 4):
        four = range(first, first + 4)
        expected = [byte % 16 - 8 for byte in four] + [byte // 16 - 8 for byte in four]
        assert widened(block, int.from_bytes(bytes(four), "little"), x, 4) == expected


def widened(block: str, word: int, x: str, results: int = 2) -> list[float]:
    """Run the instructions that widen four bytes; the numbers in the registers written last."""
    dtype = torch.float16 if x == "fp16" else torch.bfloat16
    registers: dict[str, int] = {}

    def value(name: str) -> int:
        return int(name, 16) if name.startswith("0x") else registers.get(name, word)

    def pair(name: str) -> torch.Tensor:
        return torch.frombuffer(bytearray(value(name).to_bytes(4, "little")), dtype=dtype)

    def bits(numbers: torch.Tensor) -> int:
        return int.from_bytes(numbers.view(torch.uint8).numpy().tobytes(), "little")

    def permuted(low: str, high: str, chosen: str) -> int:
        source = value(low).to_bytes(4, "little") + value(high).to_bytes(4, "little")
        return int.from_bytes(bytes(source[value(chosen) >> 4 * i & 7] for i in range(4)), "little")

    instructions = {
        "mov.b32": value,
        "and.b32": lambda one, other: value(one) & value(other),
        "shr.u32": lambda one, count: value(one) >> int(count),
        "xor.b32": lambda one, other: value(one) ^ value(other),
        "prmt.b32": permuted,
        "sub.f16x2": lambda one, other: bits(pair(one) - pair(other)),
        "fma.rn.bf16x2": lambda one, factor, other: bits(pair(one) * pair(factor) + pair(other)),
    }
    written = []
    for name, operands in re.findall(r"^\s*([a-z][\w.]+)\s+(.*);", block, re.MULTILINE):
        target, *others = operands.split(", ")
        registers[target] = instructions[name](*others)
        written.append(target)
    return [number for target in written[-results:] for number in pair(target).tolist()]
