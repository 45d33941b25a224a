"""The Triton kernel of products with few bits, compiled without a card, and how it widens weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from support.triton_compiler import number, ptx

from levo.layers import quantised_triton
from levo.layers.quantised_triton import STAGES, STEP, TILE

# Of `multiply`, as the compiler knows it: types, and which numbers are multiples of 16.
ADDRESSES = dict.fromkeys(("x_address", "weight_address", "scale_address", "y_address"), "i64")
NUMBERS = dict.fromkeys(("rows", "width_out", "width_in", "x_stride", "weight_stride"), "i32")
EVEN = (*ADDRESSES, "width_in", "x_stride", "weight_stride")
ODD_WIDTH = (*ADDRESSES,)


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
