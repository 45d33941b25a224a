"""Triton kernels of products with few bits: a tile of weights by all rows of x, and the sum over splits.

Importing this needs Triton. `quantised_triton` does so when it is first asked, and knows how work is
divided. Tensors come as addresses; see there.
"""

# mypy: disable-error-code="no-untyped-def"
# No postponed annotations: in a string Triton's interpreter does not recognise `tl.constexpr`.

import torch
import triton
import triton.language as tl

from . import quantised_triton

TILE = tl.constexpr(quantised_triton.TILE)
STEP = tl.constexpr(quantised_triton.STEP)
HALF = tl.constexpr(quantised_triton.STEP // 2)
COLUMNS = tl.constexpr(quantised_triton.COLUMNS)
BLOCK = tl.constexpr(quantised_triton.BLOCK)
ALIGNMENT = tl.constexpr(quantised_triton.ALIGNMENT)
NUMBERS = {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16, torch.float32: tl.float32}

# Four bytes to fp16. Behind 0x64 a byte is the fraction of 1024 + byte, and the byte is weight + 128.
TO_FP16 = tl.constexpr("""{
    .reg .b32 bytes, low, high, offset;
    xor.b32 bytes, $2, 0x80808080;
    mov.b32 offset, 0x64806480;
    prmt.b32 low, bytes, 0x64646464, 0x4140;
    prmt.b32 high, bytes, 0x64646464, 0x4342;
    sub.f16x2 $0, low, offset;
    sub.f16x2 $1, high, offset;
}""")

# Four bytes to bf16, whose fraction has 7 bits: 128 + the lower 7, less 128, or 256 if one is negative.
TO_BF16 = tl.constexpr("""{
    .reg .b32 lower, sign, low, high, low_offset, high_offset, minus_one;
    and.b32 lower, $2, 0x7f7f7f7f;
    and.b32 sign, $2, 0x80808080;
    mov.b32 minus_one, 0xbf80bf80;
    prmt.b32 low, lower, 0x43434343, 0x4140;
    prmt.b32 high, lower, 0x43434343, 0x4342;
    prmt.b32 low_offset, sign, 0x43434343, 0x4140;
    prmt.b32 high_offset, sign, 0x43434343, 0x4342;
    fma.rn.bf16x2 $0, low_offset, minus_one, low;
    fma.rn.bf16x2 $1, high_offset, minus_one, high;
}""")

# The lower halves of four bytes, then the upper ones, to fp16: 1024 + half, less 1032.
HALVES_TO_FP16 = tl.constexpr("""{
    .reg .b32 lower, upper, a, b, c, d, offset;
    and.b32 lower, $4, 0x0f0f0f0f;
    shr.u32 upper, $4, 4;
    and.b32 upper, upper, 0x0f0f0f0f;
    mov.b32 offset, 0x64086408;
    prmt.b32 a, lower, 0x64646464, 0x4140;
    prmt.b32 b, lower, 0x64646464, 0x4342;
    prmt.b32 c, upper, 0x64646464, 0x4140;
    prmt.b32 d, upper, 0x64646464, 0x4342;
    sub.f16x2 $0, a, offset;
    sub.f16x2 $1, b, offset;
    sub.f16x2 $2, c, offset;
    sub.f16x2 $3, d, offset;
}""")

# The same to bf16: 128 + half, less 136.
HALVES_TO_BF16 = tl.constexpr("""{
    .reg .b32 lower, upper, a, b, c, d, offset, minus_one;
    and.b32 lower, $4, 0x0f0f0f0f;
    shr.u32 upper, $4, 4;
    and.b32 upper, upper, 0x0f0f0f0f;
    mov.b32 offset, 0x43084308;
    mov.b32 minus_one, 0xbf80bf80;
    prmt.b32 a, lower, 0x43434343, 0x4140;
    prmt.b32 b, lower, 0x43434343, 0x4342;
    prmt.b32 c, upper, 0x43434343, 0x4140;
    prmt.b32 d, upper, 0x43434343, 0x4342;
    fma.rn.bf16x2 $0, offset, minus_one, a;
    fma.rn.bf16x2 $1, offset, minus_one, b;
    fma.rn.bf16x2 $2, offset, minus_one, c;
    fma.rn.bf16x2 $3, offset, minus_one, d;
}""")


@triton.jit(do_not_specialize=["rows"])  # or 1 and 16 rows would be compiled apart
def multiply(
    x_address,
    weight_address,
    scale_address,
    y_address,
    rows,
    width_out,
    width_in,
    x_stride,
    weight_stride,
    NUMBER: tl.constexpr,
    SUM: tl.constexpr,
    BITS: tl.constexpr,
    STEPS: tl.constexpr,
    PARTS: tl.constexpr,
    WIDE: tl.constexpr,
    WHOLE: tl.constexpr,
    ALIGNED: tl.constexpr,
    PTX: tl.constexpr,
):
    """Multiply TILE / PARTS rows of weights, over STEPS steps of PARTS * STEP columns, by all rows of x.

    Weights are the left factor, and x fills the 8 columns of the right one, which tensor cores multiply
    whether they are used or not. Rows of x that use 8 / PARTS of them leave room for more: a step holds
    PARTS runs of STEP columns of the matrix, each a row of the tile and a column of x, and of all pairs of
    runs the diagonal counts. So a matrix makes PARTS times as many programs, each with as much to read at
    a time as before.

    Args:
        x_address: of [rows, width_in] NUMBER.
        weight_address: of [width_out, width_in] int8, or [width_out, groups * STEP / 2] uint8 whose lower
            halves are the first STEP / 2 columns of a group and whose upper halves the others.
        scale_address: of [width_out] fp32 for 8 bits, of [width_out, groups] bf16 for 4.
        y_address: if WHOLE, of [rows, width_out] in x's dtype; otherwise sums [splits, rows, width_out]
            fp32; SUM is the dtype.
        WIDE: there are 9 to 16 rows, so two products by each tile. One by 16 columns would do, but on
            Hopper Triton makes of it the instruction whose weights it copies two bytes at a time.
        WHOLE: there is one split.
        ALIGNED: x and weights begin at multiples of ALIGNMENT bytes.
        PTX: see `_widened`.
    """
    begin = tl.program_id(1) * (STEPS * PARTS * STEP)
    row = tl.arange(0, TILE)
    out = tl.minimum(tl.program_id(0) * (TILE // PARTS) + row // PARTS, width_out - 1).to(tl.int64)
    x, rest = pointer(x_address, NUMBER, ALIGNED) + begin, width_in - begin
    if BITS == 8:
        weights = pointer(weight_address, tl.int8, ALIGNED) + out[:, None] * weight_stride + begin
        low, high = _by_bytes(weights, x, rows, rest, x_stride, NUMBER, STEPS, PARTS, WIDE, PTX)
    else:
        weights = pointer(weight_address, tl.uint8, ALIGNED) + out[:, None] * weight_stride + begin // 2
        scales = pointer(scale_address, tl.bfloat16, False) + out * tl.cdiv(width_in, STEP) + begin // STEP
        low, high = _by_halves(weights, scales, x, rows, rest, x_stride, NUMBER, STEPS, PARTS, WIDE, PTX)
    scale, y = pointer(scale_address, tl.float32, False), pointer(y_address, SUM, False)
    _store(low, scale, y, 0, rows, width_out, PARTS, WHOLE, WHOLE and BITS == 8)
    if WIDE:
        _store(high, scale, y, COLUMNS, rows, width_out, PARTS, WHOLE, WHOLE and BITS == 8)


@triton.jit
def pointer(address, dtype: tl.constexpr, ALIGNED: tl.constexpr):
    """A pointer to numbers; that it is a multiple of ALIGNMENT lets a thread read more at once."""
    numbers = address.to(tl.pointer_type(dtype))
    if ALIGNED:
        numbers = tl.multiple_of(numbers, [ALIGNMENT])
    return numbers


@triton.jit
def _by_bytes(
    weights,
    x,
    rows,
    rest,
    x_stride,
    NUMBER: tl.constexpr,
    STEPS: tl.constexpr,
    PARTS: tl.constexpr,
    WIDE: tl.constexpr,
    PTX: tl.constexpr,
):
    """Sums [TILE, COLUMNS] of int8 weights by rows 0 to 7 of x, and by rows 8 to 15 if WIDE.

    Args:
        weights: [TILE, 1] pointers to the row of each row of a tile, where the program begins.
        x: pointer to the first row, there.
        rest: columns from there on.
    """
    row, column, run = tl.arange(0, TILE), tl.arange(0, COLUMNS), tl.arange(0, STEP)
    weight_in = (row % PARTS)[:, None] * STEP + run[None, :]  # counted from the beginning of a step
    x_in = (column % PARTS)[None, :] * STEP + run[:, None]
    x_row = (column // PARTS)[None, :]
    weights += weight_in
    low_x = x + x_row.to(tl.int64) * x_stride + x_in
    low, high = tl.zeros((TILE, COLUMNS), tl.float32), tl.zeros((TILE, COLUMNS), tl.float32)
    for _ in range(STEPS):
        tile = _widened(tl.load(weights, mask=weight_in < rest, other=0), NUMBER, PTX)
        low = _added(low, tile, low_x, (x_row < rows) & (x_in < rest))
        if WIDE:
            high = _added(high, tile, low_x + COLUMNS * x_stride, (x_row + COLUMNS < rows) & (x_in < rest))
        weights += PARTS * STEP
        low_x += PARTS * STEP
        rest -= PARTS * STEP
    return low, high


@triton.jit
def _by_halves(
    weights,
    scales,
    x,
    rows,
    rest,
    x_stride,
    NUMBER: tl.constexpr,
    STEPS: tl.constexpr,
    PARTS: tl.constexpr,
    WIDE: tl.constexpr,
    PTX: tl.constexpr,
):
    """As `_by_bytes`, of int4 weights; `scales` are [TILE] pointers to the first scale of each row."""
    row, column, run = tl.arange(0, TILE), tl.arange(0, COLUMNS), tl.arange(0, HALF)
    group = row % PARTS
    weight_in = group[:, None] * STEP + run[None, :]
    x_in = (column % PARTS)[None, :] * STEP + run[:, None]
    x_row = (column // PARTS)[None, :]
    weights += group[:, None] * HALF + run[None, :]
    scales += group
    low_x = x + x_row.to(tl.int64) * x_stride + x_in
    low, high = tl.zeros((TILE, COLUMNS), tl.float32), tl.zeros((TILE, COLUMNS), tl.float32)
    scale = tl.load(scales, mask=group * STEP < rest, other=0.0)
    for _ in range(STEPS):
        lower, upper = _halves(tl.load(weights, mask=weight_in < rest, other=0), NUMBER, PTX)
        factor = scale.to(tl.float32)[:, None]
        scales += PARTS  # the next is on its way while this step is multiplied
        scale = tl.load(scales, mask=(group + PARTS) * STEP < rest, other=0.0)
        low += factor * _both(lower, upper, low_x, x_row < rows, x_in, rest)
        if WIDE:
            high_x = low_x + COLUMNS * x_stride
            high += factor * _both(lower, upper, high_x, x_row + COLUMNS < rows, x_in, rest)
        weights += PARTS * HALF
        low_x += PARTS * STEP
        rest -= PARTS * STEP
    return low, high


@triton.jit
def _added(sums, tile, x, mask):
    """Sums [TILE, COLUMNS] and the product of a tile [TILE, span] and x [span, COLUMNS]."""
    right = tl.load(x, mask=mask, other=0.0).to(tile.dtype)
    return tl.dot(tile, right, sums, input_precision="ieee")


@triton.jit
def _both(lower, upper, x, row_mask, x_in, rest):
    """The product [TILE, COLUMNS] of both halves of a group, [TILE, HALF] each, by their columns of x."""
    sums = tl.zeros((lower.shape[0], x.shape[1]), tl.float32)
    sums = _added(sums, lower, x, row_mask & (x_in < rest))
    return _added(sums, upper, x + HALF, row_mask & (x_in + HALF < rest))


@triton.jit
def _store(
    sums,
    scale_pointer,
    y_pointer,
    first,
    rows,
    width_out,
    PARTS: tl.constexpr,
    WHOLE: tl.constexpr,
    SCALED: tl.constexpr,
):
    """Add the parts of a tile's sums [TILE, COLUMNS] and store them as rows of y from `first` on."""
    if PARTS > 1:
        same = (tl.arange(0, TILE) % PARTS)[:, None] == (tl.arange(0, COLUMNS) % PARTS)[None, :]
        pairs = tl.reshape(tl.where(same, sums, 0.0), (TILE // PARTS, PARTS, COLUMNS // PARTS, PARTS))
        sums = tl.sum(tl.sum(pairs, 3), 1)
    out = tl.program_id(0) * (TILE // PARTS) + tl.arange(0, TILE // PARTS)
    row = first + tl.arange(0, COLUMNS // PARTS)
    if SCALED:
        sums *= tl.load(scale_pointer + out, mask=out < width_out, other=0.0)[:, None]
    if not WHOLE:
        y_pointer += tl.program_id(1) * rows * width_out
    inside = (out < width_out)[:, None] & (row < rows)[None, :]
    y = y_pointer + row[None, :] * width_out + out[:, None]
    tl.store(y, sums.to(y_pointer.dtype.element_ty), mask=inside)


@triton.jit
def _widened(weights, dtype: tl.constexpr, PTX: tl.constexpr):
    """Bytes as floats: four at a time in x's dtype, or one by one in fp32.

    The former is for cards. Triton's own conversion to fp16 takes 2.75 machine instructions a weight, this
    one 1.25; to bf16 it is 2 each, but before Hopper Triton's converts integers, weight by weight. The
    latter is for Triton's interpreter, which knows neither PTX nor bf16.
    """
    if not PTX:
        return weights.to(tl.float32)
    elif dtype == tl.float16:
        return tl.inline_asm_elementwise(TO_FP16, "=r,=r,r", [weights], tl.float16, is_pure=True, pack=4)
    else:
        return tl.inline_asm_elementwise(TO_BF16, "=r,=r,r", [weights], tl.bfloat16, is_pure=True, pack=4)


@triton.jit
def _halves(packed, dtype: tl.constexpr, PTX: tl.constexpr):
    """Lower and upper halves of bytes as floats, less 8; see `_widened`."""
    if not PTX:
        return (packed & 15).to(tl.float32) - 8.0, (packed >> 4).to(tl.float32) - 8.0
    elif dtype == tl.float16:
        return tl.inline_asm_elementwise(
            HALVES_TO_FP16, "=r,=r,=r,=r,r", [packed], (tl.float16, tl.float16), is_pure=True, pack=4
        )
    else:
        return tl.inline_asm_elementwise(
            HALVES_TO_BF16, "=r,=r,=r,=r,r", [packed], (tl.bfloat16, tl.bfloat16), is_pure=True, pack=4
        )


@triton.jit(do_not_specialize=["rows"])
def reduce(
    sums_address,
    scale_address,
    y_address,
    rows,
    width_out,
    NUMBER: tl.constexpr,
    SPLITS: tl.constexpr,
    SCALED: tl.constexpr,
):
    """Add sums [SPLITS, rows, width_out] fp32 in the order of the splits, scale, round to y's dtype."""
    row = tl.program_id(1)
    out = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = out < width_out
    sums = pointer(sums_address, tl.float32, False) + row * width_out + out
    total = tl.load(sums, mask=inside, other=0.0)
    for split in tl.static_range(1, SPLITS):  # unrolled, so that no load waits for the one before
        total += tl.load(sums + split * rows * width_out, mask=inside, other=0.0)
    if SCALED:
        scales = pointer(scale_address, tl.float32, False) + out
        total = total * tl.load(scales, mask=inside, other=0.0)
    y = pointer(y_address, NUMBER, False) + row * width_out + out
    tl.store(y, total.to(NUMBER), mask=inside)
