"""Triton kernels of attention to bytes: runs of positions are read, a new one is stored, runs are merged.

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
def attend(
    turned_address,
    numbers_address,
    scales_address,
    means_address,
    lengths_address,
    sums_address,
    heads,
    capacity,
    width,
    part_stride,
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

    The last position that a row sees is new: the program whose run it is in stores it, and attends to it as
    it is stored.

    Args:
        turned_address: of queries, keys and values in NUMBER; numbers of a head lie side by side.
        lengths_address: of [rows] int32, how many positions each row sees.
        sums_address: of [runs, rows * heads, WIDTH + 2] float32: values weighted by what the softmax raises
            to, the sum of these weights, and the largest score.
        part_stride, row_stride, head_stride: of `turned`, in numbers.
        factor: of scores.
        WIDTH: the power of two that holds `width`.
        ALIGNED: the cache begins at a multiple of ALIGNMENT bytes.
    """
    head, run = tl.program_id(0), tl.program_id(1)
    turned = pointer(turned_address, NUMBER, False)
    turned += head // heads * row_stride + head % heads * head_stride
    q = _row(turned, width, WIDTH) * factor
    new = tl.load(pointer(lengths_address, tl.int32, False) + head // heads) - 1
    first, half = head.to(tl.int64) * capacity, tl.num_programs(0).to(tl.int64) * capacity  # to the values
    sums, weights, largest = _attend_to_known(
        q, numbers_address, scales_address, first, half, run, new, width, WIDTH, RUN, BLOCK, ALIGNED
    )
    if new // RUN == run:
        key, value = _row(turned + part_stride, width, WIDTH), _row(turned + 2 * part_stride, width, WIDTH)
        key -= _row(pointer(means_address, tl.float32, False) + head * width, width, WIDTH)
        key = _stored(key, numbers_address, scales_address, first + new, width, WIDTH)
        value = _stored(value, numbers_address, scales_address, half + first + new, width, WIDTH)
        sums, weights, largest = _added(sums, weights, largest, tl.sum(key * q, 0), value)
    out = pointer(sums_address, tl.float32, False)
    _store_sums(out + (run.to(tl.int64) * tl.num_programs(0) + head) * (WIDTH + 2), sums, weights, largest)


@triton.jit
def _store_sums(start, sums, weights, largest):
    """Store one after another the sums, their weights and the largest score."""
    width: tl.constexpr = sums.shape[0]
    tl.store(start + tl.arange(0, width), sums)
    tl.store(start + width, weights)
    tl.store(start + width + 1, largest)


@triton.jit
def _row(start, width, WIDTH: tl.constexpr):
    """`width` numbers as floats, and zeros up to WIDTH."""
    column = tl.arange(0, WIDTH)
    return tl.load(start + column, mask=column < width, other=0.0).to(tl.float32)


@triton.jit
def _attend_to_known(
    q,
    numbers_address,
    scales_address,
    first,
    half,
    run,
    end,
    width,
    WIDTH: tl.constexpr,
    RUN: tl.constexpr,
    BLOCK: tl.constexpr,
    ALIGNED: tl.constexpr,
):
    """Sums, weights and largest score of a run of positions, of which those before `end` count."""
    sums, weights = tl.zeros((WIDTH,), tl.float32), tl.zeros((), tl.float32)
    largest = tl.full((), LOWEST, tl.float32)
    for block in range(RUN // BLOCK):
        position = run * RUN + block * BLOCK + tl.arange(0, BLOCK)
        seen, place = position < end, first + position
        keys, key_scale = _read(numbers_address, scales_address, place, seen, width, WIDTH, ALIGNED)
        values, scale = _read(numbers_address, scales_address, half + place, seen, width, WIDTH, ALIGNED)
        score = tl.where(seen, tl.sum(keys * q[None, :], 1) * key_scale, LOWEST)
        highest = tl.maximum(largest, tl.max(score, 0))
        weight, old = tl.where(seen, tl.exp(score - highest), 0.0), tl.exp(largest - highest)
        sums = sums * old + tl.sum((weight * scale)[:, None] * values, 0)
        weights, largest = weights * old + tl.sum(weight, 0), highest
    return sums, weights, largest


@triton.jit
def _added(sums, weights, largest, score, value):
    """Sums, weights and largest score with one more position."""
    highest = tl.maximum(largest, score)
    weight, old = tl.exp(score - highest), tl.exp(largest - highest)
    return sums * old + weight * value, weights * old + weight, highest


@triton.jit
def _stored(x, numbers_address, scales_address, place, width, WIDTH: tl.constexpr):
    """What `x` [WIDTH] is as bytes with a scale, which are stored as a position of a head."""
    scale = tl.maximum(tl.max(tl.abs(x), 0) / LEVELS, SMALLEST)
    number = tl.floor(x / scale + 0.5)
    column = tl.arange(0, WIDTH)
    cells = pointer(numbers_address, tl.int8, False) + place * width + column
    tl.store(cells, number.to(tl.int8), mask=column < width)
    tl.store(pointer(scales_address, tl.float32, False) + place, scale)
    return number * scale


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
