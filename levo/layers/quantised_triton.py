"""Products with int8 and int4 weights by a Triton kernel, for a step's few rows on a CUDA card.

A weight is read once, as the byte or half byte that it is. Knows how a product is divided into programs.
The kernels are in `quantised_kernels`, which needs Triton; this module needs it only once a product is
asked for.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

MAX_ROWS = 16
OLDEST_CARD = (8, 0)  # Ampere; for older ones Triton 3.5 uses neither tensor cores nor asynchronous copies
OLDEST_TRITON = (3, 5)  # comes with torch 2.9; older ones multiply by no fewer than 16 columns

TILE = 64  # rows of a tile of weights: 16 for each of 4 warps, as tensor cores take them
STEP = 128  # weights of each of those rows that a step reads; a group of int4
COLUMNS = 8  # that tensor cores multiply a tile by at least
MAX_PARTS = 4
# Of the pipeline: while a step is multiplied, the next three are on their way. A program has 40 to 48 KiB
# of shared memory for it, so that two fit on a multiprocessor of a card for games.
STAGES = {8: 5, 4: 8}  # by bits: half bytes need more steps for as much on the way
ALIGNMENT = 16  # bytes that a thread reads at once
BLOCK = 256  # numbers that a program of the second kernel adds

# What `tiling` reckons with: rates in bytes a microsecond. Estimates; none was measured with these kernels.
PROGRAM_RATE = 32_000  # 24 to 32 KiB on their way, and about a microsecond until a busy memory answers
CARD_RATE = 40_000  # for each multiprocessor; more than the 4.8 TB/s for 132 of an H200
LAUNCH = 2.0  # microseconds for a second kernel
PROGRAMS = 2  # for each multiprocessor where they cost nothing: one multiplies while one begins or ends


class Tiling(NamedTuple):
    """How a product is divided into programs.

    wide: there are more rows than `COLUMNS`, so there are two products by each tile.
    parts: runs of columns side by side in a tile; see `quantised_kernels.multiply`.
    splits: programs that share a row of tiles; a second kernel adds their sums.
    steps: of each split, each `parts` * `STEP` columns; the last split may reach beyond the matrix.
    """

    wide: bool
    parts: int
    splits: int
    steps: int


@cache
def tiling(rows: int, width_out: int, width_in: int, multiprocessors: int, bits: int = 8) -> Tiling:
    """Divide a product, by its shape and the card's size alone.

    A choice by measuring would differ from one start to the next, and different ones round differently.
    Only reading weights takes time. A program reads as fast as its bytes on their way allow, and all of
    them no faster than memory, so that a product takes the longer of

        what a program reads / PROGRAM_RATE    and    all weights / (CARD_RATE * multiprocessors),

    and `LAUNCH` more if it is split. First, tiles get fewer rows by `parts`, as far as rows of x leave
    columns free and until there are `PROGRAMS` for each multiprocessor: that takes no second kernel. Then
    splits are the fewest of those that take the shortest time; each fills the pipeline at least once. Where
    memory is slower than reckoned, a split may be made that was not needed; it costs a launch.

    Args:
        rows: of x, 1 to `MAX_ROWS`.
        width_out, width_in: of the matrix.
        multiprocessors: of the card.
        bits: of a weight.
    """
    parts = 1
    most = min(MAX_PARTS, COLUMNS // rows)
    while 2 * parts <= most and _tiles(width_out, parts) < PROGRAMS * multiprocessors:
        parts *= 2
    steps = _ceil(width_in, parts * STEP)
    memory = width_out * width_in * bits / 8 / (CARD_RATE * multiprocessors)

    def duration(splits: int) -> float:
        program = _ceil(steps, splits) * TILE * STEP * bits / 8 / PROGRAM_RATE
        return max(program, memory) + (LAUNCH if splits > 1 else 0)

    splits = min(range(1, max(1, steps // (STAGES[bits] - 1)) + 1), key=duration)  # the first of equal ones
    each = _ceil(steps, splits)
    return Tiling(rows > COLUMNS, parts, _ceil(steps, each), each)


def is_available(device: torch.device) -> bool:
    """Whether `product` runs on a device: a CUDA card of Ampere or newer, and Triton 3.5 or newer.

    bf16 and fp16 both run there. Triton also needs a C compiler when it first launches a kernel; whether
    there is one only a first product shows.
    """
    if device.type != "cuda" or torch.version.hip is not None:  # the kernels contain PTX
        return False
    return torch.cuda.get_device_capability(device) >= OLDEST_CARD and _kernels() is not None


def product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x times the transpose of int8 or int4 weights, summed in fp32.

    Nothing waits for the device, so that it can be captured in a CUDA graph, after a first call with the
    same shapes: that one compiles. Equal arguments give equal bits on the same kind of card.

    Args:
        x: [rows, in] fp16 or bf16, at most `MAX_ROWS` rows; numbers of a row side by side.
        weight: [out, in] int8 or [out, groups * 64] uint8 as `int4.quantise` gives it, numbers of a row
            side by side; read fastest where rows begin at multiples of 16 bytes, as those of x.
        scale: [out] float32 for int8, [out, groups] bf16 for int4; contiguous.

    Returns:
        [rows, out] in x's dtype: y[m, n] = sum over k of x[m, k] * weight[n, k] * its scale.

    Raises:
        ValueError: shapes, dtypes or strides are others than these.
    """
    bits = 8 if weight.dtype == torch.int8 else 4
    _check(x, weight, scale, bits)
    plan = tiling(len(x), len(weight), x.shape[1], _multiprocessors(x.device), bits)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        return _launch(x, weight, scale, plan)


def _launch(x: Tensor, weight: Tensor, scale: Tensor, plan: Tiling) -> Tensor:
    """Multiply.

    Tensors go as addresses. ComfyUI starts torch with cudaMallocAsync, and what is allocated by it while a
    graph is captured Triton takes for memory of the CPU: the driver does not know it before the graph runs.
    """
    kernels: Any = _kernels()
    rows, width_in = x.shape
    width_out, bits = len(weight), 8 if weight.dtype == torch.int8 else 4
    y = x.new_empty(rows, width_out)
    whole = plan.splits == 1
    sums = y if whole else x.new_empty(plan.splits, rows, width_out, dtype=torch.float32)
    number, sum_ = kernels.NUMBERS[x.dtype], kernels.NUMBERS[sums.dtype]
    kernels.multiply[(_tiles(width_out, plan.parts), plan.splits)](
        x.data_ptr(),
        weight.data_ptr(),
        scale.data_ptr(),
        sums.data_ptr(),
        rows,
        width_out,
        width_in,
        x.stride(0),
        weight.stride(0),
        NUMBER=number,
        SUM=sum_,
        BITS=bits,
        STEPS=plan.steps,
        PARTS=plan.parts,
        WIDE=plan.wide,
        WHOLE=whole,
        ALIGNED=all(t.data_ptr() % ALIGNMENT == 0 for t in (x, weight)),
        PTX=x.is_cuda,
        num_warps=TILE // 16,
        num_stages=STAGES[bits],
    )
    if not whole:
        grid = (_ceil(width_out, BLOCK), rows)
        addresses = (t.data_ptr() for t in (sums, scale, y))
        kernels.reduce[grid](
            *addresses, rows, width_out, NUMBER=number, SPLITS=plan.splits, SCALED=bits == 8
        )
    return y


def _check(x: Tensor, weight: Tensor, scale: Tensor, bits: int) -> None:
    if x.dtype not in (torch.float16, torch.bfloat16) or weight.dtype not in (torch.int8, torch.uint8):
        raise ValueError(
            f"The kernel multiplies fp16 or bf16 by int8 or int4, not {x.dtype} by {weight.dtype}."
        )
    if x.ndim != 2 or weight.ndim != 2 or not weight.numel() or weight.shape[1] != _stored(x, bits):
        raise ValueError(f"A product of {[*x.shape]} by {bits} bits, {[*weight.shape]}, is not possible.")
    if not 1 <= len(x) <= MAX_ROWS:
        raise ValueError(f"The kernel multiplies 1 to {MAX_ROWS} rows, not {len(x)}.")
    shape, dtype = weight.shape[:1], torch.float32
    if bits == 4:
        shape, dtype = torch.Size((len(weight), _ceil(x.shape[1], STEP))), torch.bfloat16
    if scale.shape != shape or scale.dtype != dtype or not scale.is_contiguous():
        raise ValueError(f"The kernel needs {[*shape]} contiguous scales in {dtype}.")
    if x.stride(1) != 1 or weight.stride(1) != 1:
        raise ValueError("The kernel needs the numbers of a row side by side, in x and in the weights.")
    if not x.device == weight.device == scale.device:
        raise ValueError("The kernel needs x, weights and scales on one device.")


def _stored(x: Tensor, bits: int) -> int:
    """Bytes of a row of weights."""
    return x.shape[1] if bits == 8 else _ceil(x.shape[1], STEP) * STEP // 2


@cache
def _kernels() -> ModuleType | None:
    """The kernels; None if Triton is missing, broken or too old."""
    try:
        import triton

        if tuple(int(number) for number in triton.__version__.split(".")[:2]) < OLDEST_TRITON:
            return None
        from . import quantised_kernels
    except (ImportError, OSError, RuntimeError):  # what builds for another system raise
        return None
    return quantised_kernels


@cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


def _tiles(width_out: int, parts: int) -> int:
    return _ceil(width_out, TILE // parts)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)
