"""The int8 product by a Triton kernel, for a step's few rows on a CUDA card: a byte is read a weight.

Knows how a product is divided into programs. The kernels are in `int8_kernels`, which needs Triton; this
module needs it only once a product is asked for.
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
STEP = 128  # bytes of each of those rows that a step reads: a line of the cache
COLUMNS = 8  # that tensor cores multiply a tile by at least
MAX_PARTS = 4
# Of the pipeline: while a step is multiplied, the next three are on their way. A program has 40 to 48 KiB
# of shared memory for it, so that two fit on a multiprocessor of a card for games.
STAGES = 5
BLOCK = 256  # numbers that a program of the second kernel adds

# What `tiling` reckons with: rates in bytes a microsecond. Estimates; none was measured with these kernels.
PROGRAM_RATE = 32_000  # 24 to 32 KiB on their way, and about a microsecond until a busy memory answers
CARD_RATE = 40_000  # for each multiprocessor; more than the 4.8 TB/s for 132 of an H200
LAUNCH = 2.0  # microseconds for a second kernel
PROGRAMS = 2  # for each multiprocessor where they cost nothing: one multiplies while one begins or ends


class Tiling(NamedTuple):
    """How a product is divided into programs.

    wide: there are more rows than `COLUMNS`, so there are two products by each tile.
    parts: runs of columns side by side in a tile; see `int8_kernels.multiply`.
    splits: programs that share a row of tiles; a second kernel adds their sums.
    steps: of each split, each `parts` * `STEP` columns; the last split may reach beyond the matrix.
    """

    wide: bool
    parts: int
    splits: int
    steps: int


@cache
def tiling(rows: int, width_out: int, width_in: int, multiprocessors: int) -> Tiling:
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
    """
    parts = 1
    most = min(MAX_PARTS, COLUMNS // rows)
    while 2 * parts <= most and _tiles(width_out, parts) < PROGRAMS * multiprocessors:
        parts *= 2
    steps = _ceil(width_in, parts * STEP)
    memory = width_out * width_in / (CARD_RATE * multiprocessors)

    def duration(splits: int) -> float:
        program = _ceil(steps, splits) * TILE * STEP / PROGRAM_RATE
        return max(program, memory) + (LAUNCH if splits > 1 else 0)

    splits = min(range(1, max(1, steps // (STAGES - 1)) + 1), key=duration)  # the first of equal ones
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
    """x times the transpose of int8 weights with a scale a row, summed in fp32.

    Nothing waits for the device, so that it can be captured in a CUDA graph, after a first call with the
    same shapes: that one compiles. Equal arguments give equal bits on the same kind of card.

    Args:
        x: [rows, in] fp16 or bf16, at most `MAX_ROWS` rows; numbers of a row side by side.
        weight: [out, in] int8, numbers of a row side by side; read fastest where rows begin at multiples of
            16 bytes, as those of x.
        scale: [out] float32.

    Returns:
        [rows, out] in x's dtype: y[m, n] = scale[n] * sum over k of x[m, k] * weight[n, k].

    Raises:
        ValueError: shapes, dtypes or strides are others than these.
    """
    _check(x, weight, scale)
    plan = tiling(len(x), *weight.shape, _multiprocessors(x.device))
    with torch.cuda.device_of(x):  # Triton launches on the current device
        return _launch(x, weight, scale, plan)


def _launch(x: Tensor, weight: Tensor, scale: Tensor, plan: Tiling) -> Tensor:
    kernels: Any = _kernels()
    rows, (width_out, width_in) = len(x), weight.shape
    y = x.new_empty(rows, width_out)
    whole = plan.splits == 1
    sums = y if whole else scale.new_empty(plan.splits, rows, width_out)
    kernels.multiply[(_tiles(width_out, plan.parts), plan.splits)](
        x,
        weight,
        scale,
        sums,
        rows,
        width_out,
        width_in,
        x.stride(0),
        weight.stride(0),
        STEPS=plan.steps,
        PARTS=plan.parts,
        WIDE=plan.wide,
        WHOLE=whole,
        PTX=x.is_cuda,
        num_warps=TILE // 16,
        num_stages=STAGES,
    )
    if not whole:
        grid = (_ceil(width_out, BLOCK), rows)
        kernels.reduce[grid](sums, scale, y, rows, width_out, SPLITS=plan.splits)
    return y


def _check(x: Tensor, weight: Tensor, scale: Tensor) -> None:
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1] or not weight.numel():
        raise ValueError(f"An int8 product of {[*x.shape]} by {[*weight.shape]} is not possible.")
    if not 1 <= len(x) <= MAX_ROWS:
        raise ValueError(f"The int8 kernel multiplies 1 to {MAX_ROWS} rows, not {len(x)}.")
    if x.dtype not in (torch.float16, torch.bfloat16) or weight.dtype != torch.int8:
        raise ValueError(
            f"The int8 kernel multiplies fp16 or bf16 by int8, not {x.dtype} by {weight.dtype}."
        )
    if scale.shape != weight.shape[:1] or scale.dtype != torch.float32 or not scale.is_contiguous():
        raise ValueError(f"The int8 kernel needs {len(weight)} contiguous float32 scales.")
    if x.stride(1) != 1 or weight.stride(1) != 1:
        raise ValueError(
            "The int8 kernel needs the numbers of a row side by side, in x and in the weights."
        )
    if not x.device == weight.device == scale.device:
        raise ValueError("The int8 kernel needs x, weights and scales on one device.")


@cache
def _kernels() -> ModuleType | None:
    """The kernels; None if Triton is missing, broken or too old."""
    try:
        import triton

        if tuple(int(number) for number in triton.__version__.split(".")[:2]) < OLDEST_TRITON:
            return None
        from . import int8_kernels
    except (ImportError, OSError, RuntimeError):  # what builds for another system raise
        return None
    return int8_kernels


@cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


def _tiles(width_out: int, parts: int) -> int:
    return _ceil(width_out, TILE // parts)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)
