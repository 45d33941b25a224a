"""Triton kernels of attention to bytes: a position is stored, runs of positions are read, runs are merged.

Importing this needs Triton; `int8_attention_triton` does so when it is first asked. Tensors come as
addresses; see `quantised_triton`.
"""

# mypy: disable-error-code="no-untyped-def"
# No postponed annotations: in a string Triton's interpreter does not recognise `tl.constexpr`.

import triton
import triton.language as tl

from . import int8_attention
from .quantised_kernels import pointer

LEVELS = tl.constexpr(int8_attention.LEVELS)
SMALLEST = tl.constexpr(int8_attention.SMALLEST)
LOWEST = tl.constexpr(-1e30)  # of scores, where nothing is seen


@triton.jit
def append(
    both_address,
    numbers_address,
    scales_address,
    means_address,
    at_address,
    heads,
    capacity,
    width,
    half_stride,
    row_stride,
    head_stride,
    NUMBER: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Store a position's key (program id 1 is 0) or value of a head; see `int8_attention.append`.

    Args:
        both_address: of NUMBER, whose numbers of a head lie side by side.
        heads, capacity, width: of the cache.
        half_stride, row_stride, head_stride: of `both`, in numbers.
        WIDTH: the power of two that holds `width`.
    """
    head, half = tl.program_id(0), tl.program_id(1)
    column = tl.arange(0, WIDTH)
    inside = column < width
    both = pointer(both_address, NUMBER, False)
    both += half * half_stride + head // heads * row_stride + head % heads * head_stride
    x = tl.load(both + column, mask=inside, other=0.0).to(tl.float32)
    means = pointer(means_address, tl.float32, False) + head * width + column
    x -= tl.load(means, mask=inside & (half == 0), other=0.0)
    scale = tl.maximum(tl.max(tl.abs(x), 0) / LEVELS, SMALLEST)
    at = tl.load(pointer(at_address, tl.int64, False))
    place = (half.to(tl.int64) * tl.num_programs(0) + head) * capacity + at
    number = tl.floor(x / scale + 0.5).to(tl.int8)
    tl.store(pointer(numbers_address, tl.int8, False) + place * width + column, number, mask=inside)
    tl.store(pointer(scales_address, tl.float32, False) + place, scale)


@triton.jit
def attend(
    query_address,
    numbers_address,
    scales_address,
    lengths_address,
    sums_address,
    heads,
    capacity,
    width,
    row_stride,
    head_stride,
    factor,
    NUMBER: tl.constexpr,
    WIDTH: tl.constexpr,
    RUN: tl.constexpr,
    BLOCK: tl.constexpr,
    ALIGNED: tl.constexpr,
):
    """Attend with the query of a head (program id 0) to RUN positions (program id 1), BLOCK at a time.

    Args:
        query_address: of NUMBER, whose numbers of a head lie side by side.
        lengths_address: of [rows] int32, how many positions each row sees.
        sums_address: of [runs, rows * heads, WIDTH + 2] float32: values weighted by what the softmax raises
            to, the sum of these weights, and the largest score.
        row_stride, head_stride: of the query, in numbers.
        factor: of scores.
        ALIGNED: the cache begins at a multiple of ALIGNMENT bytes.
    """
    head, run = tl.program_id(0), tl.program_id(1)
    q = _query(query_address, head, heads, width, row_stride, head_stride, NUMBER, WIDTH) * factor
    length = tl.load(pointer(lengths_address, tl.int32, False) + head // heads)
    half = tl.num_programs(0).to(tl.int64) * capacity  # from keys to values
    largest, weights = tl.full((), LOWEST, tl.float32), tl.zeros((), tl.float32)
    sums = tl.zeros((WIDTH,), tl.float32)
    for block in range(RUN // BLOCK):
        position = run * RUN + block * BLOCK + tl.arange(0, BLOCK)
        seen, place = position < length, head.to(tl.int64) * capacity + position
        keys, scale = _read(numbers_address, scales_address, place, seen, width, WIDTH, ALIGNED)
        score = tl.where(seen, tl.sum(keys * q[None, :], 1) * scale, LOWEST)
        values, scale = _read(numbers_address, scales_address, half + place, seen, width, WIDTH, ALIGNED)
        highest = tl.maximum(largest, tl.max(score, 0))
        weight, old = tl.where(seen, tl.exp(score - highest), 0.0), tl.exp(largest - highest)
        sums = sums * old + tl.sum((weight * scale)[:, None] * values, 0)
        weights, largest = weights * old + tl.sum(weight, 0), highest
    out = pointer(sums_address, tl.float32, False)
    out += (run.to(tl.int64) * tl.num_programs(0) + head) * (WIDTH + 2)
    tl.store(out + tl.arange(0, WIDTH), sums)
    tl.store(out + WIDTH, weights)
    tl.store(out + WIDTH + 1, largest)


@triton.jit
def _query(address, head, heads, width, row_stride, head_stride, NUMBER: tl.constexpr, WIDTH: tl.constexpr):
    """The query [WIDTH] of a head, as floats."""
    column = tl.arange(0, WIDTH)
    query = pointer(address, NUMBER, False) + head // heads * row_stride + head % heads * head_stride
    return tl.load(query + column, mask=column < width, other=0.0).to(tl.float32)


@triton.jit
def _read(numbers_address, scales_address, place, seen, width, WIDTH: tl.constexpr, ALIGNED: tl.constexpr):
    """Bytes [positions, WIDTH] as floats, and their scales [positions]."""
    numbers = pointer(numbers_address, tl.int8, ALIGNED)
    column = tl.arange(0, WIDTH)
    cells = place[:, None] * width + column[None, :]
    read = tl.load(numbers + cells, mask=seen[:, None] & (column < width)[None, :], other=0)
    scales = pointer(scales_address, tl.float32, False)
    return read.to(tl.float32), tl.load(scales + place, mask=seen, other=0.0)


@triton.jit(do_not_specialize=["runs"])
def merge(
    sums_address,
    out_address,
    runs,
    width,
    NUMBER: tl.constexpr,
    WIDTH: tl.constexpr,
    RUNS: tl.constexpr,
):
    """What a head (program id 0) attended to in all runs, as [rows, 1, heads * width] NUMBER.

    Args:
        sums_address: as `attend` leaves them.
        RUNS: the power of two that holds `runs`.
    """
    head = tl.program_id(0)
    column, run = tl.arange(0, WIDTH), tl.arange(0, RUNS)
    sums = pointer(sums_address, tl.float32, False)
    rows = (run * tl.num_programs(0) + head) * (WIDTH + 2)
    valid = run < runs
    largest = tl.load(sums + rows + WIDTH + 1, mask=valid, other=LOWEST)
    share = tl.exp(largest - tl.max(largest, 0))
    weights = tl.load(sums + rows + WIDTH, mask=valid, other=0.0)
    total = tl.sum(weights * share, 0)
    values = tl.load(sums + rows[:, None] + column[None, :], mask=valid[:, None], other=0.0)
    y = tl.sum(values * share[:, None], 0) / total
    out = pointer(out_address, NUMBER, False) + head * width + column
    tl.store(out, y.to(NUMBER), mask=column < width)
