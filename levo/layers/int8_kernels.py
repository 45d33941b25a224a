"""Triton kernels of the int8 product: a tile of weights by all rows of x, and the sum over the splits.

Importing this needs Triton. `int8_triton` does so when it is first asked, and knows how work is divided.
"""

# mypy: disable-error-code="no-untyped-def"
# No postponed annotations: in a string Triton's interpreter does not recognise `tl.constexpr`.

import triton
import triton.language as tl

from . import int8_triton

TILE = tl.constexpr(int8_triton.TILE)
STEP = tl.constexpr(int8_triton.STEP)
COLUMNS = tl.constexpr(int8_triton.COLUMNS)
BLOCK = tl.constexpr(int8_triton.BLOCK)

# Four weights to fp16. Behind 0x64 a byte is the fraction of 1024 + byte, and the byte is weight + 128.
TO_FP16 = tl.constexpr("""{
    .reg .b32 bytes, low, high, offset;
    xor.b32 bytes, $2, 0x80808080;
    mov.b32 offset, 0x64806480;
    prmt.b32 low, bytes, 0x64646464, 0x4140;
    prmt.b32 high, bytes, 0x64646464, 0x4342;
    sub.f16x2 $0, low, offset;
    sub.f16x2 $1, high, offset;
}""")

# Four weights to bf16, whose fraction has 7 bits: 128 + the lower 7, less 128, or 256 if one is negative.
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


@triton.jit(do_not_specialize=["rows"])  # or 1 and 16 rows would be compiled apart
def multiply(
    x_pointer,
    weight_pointer,
    scale_pointer,
    y_pointer,
    rows,
    width_out,
    width_in,
    x_stride,
    weight_stride,
    STEPS: tl.constexpr,
    PARTS: tl.constexpr,
    WIDE: tl.constexpr,
    WHOLE: tl.constexpr,
    PTX: tl.constexpr,
):
    """Multiply TILE / PARTS rows of weights, over STEPS steps of PARTS * STEP columns, by all rows of x.

    Weights are the left factor, and x fills the 8 columns of the right one, which tensor cores multiply
    whether they are used or not. Rows of x that use 8 / PARTS of them leave room for more: a step holds
    PARTS runs of STEP columns of the matrix, each a row of the tile and a column of x, and of all pairs of
    runs the diagonal counts. So a matrix makes PARTS times as many programs, each with as much to read at
    a time as before.

    Args:
        x_pointer: [rows, width_in] fp16 or bf16.
        weight_pointer: [width_out, width_in] int8.
        scale_pointer: [width_out] fp32.
        y_pointer: if WHOLE, [rows, width_out] in x's dtype; otherwise sums [splits, rows, width_out] fp32.
        WIDE: there are 9 to 16 rows, so two products by each tile. One by 16 columns would do, but on
            Hopper Triton makes of it the instruction whose weights it copies two bytes at a time.
        WHOLE: there is one split.
        PTX: see `_widened`.
    """
    begin = tl.program_id(1) * (STEPS * PARTS * STEP)
    row, column, run = tl.arange(0, TILE), tl.arange(0, COLUMNS), tl.arange(0, STEP)
    out = tl.minimum(tl.program_id(0) * (TILE // PARTS) + row // PARTS, width_out - 1).to(tl.int64)
    x_row = (column // PARTS)[None, :]
    weight_in = (row % PARTS)[:, None] * STEP + run[None, :]  # counted from the beginning of a step
    x_in = (column % PARTS)[None, :] * STEP + run[:, None]
    weights = weight_pointer + out[:, None] * weight_stride + (begin + weight_in)
    low_x = x_pointer + x_row.to(tl.int64) * x_stride + (begin + x_in)
    high_x = low_x + COLUMNS * x_stride
    low = tl.zeros((TILE, COLUMNS), tl.float32)
    high = tl.zeros((TILE, COLUMNS), tl.float32)
    for step in range(STEPS):
        rest = width_in - begin - step * (PARTS * STEP)
        tile = _widened(tl.load(weights, mask=weight_in < rest, other=0), x_pointer.dtype.element_ty, PTX)
        low = _added(low, tile, low_x, (x_row < rows) & (x_in < rest))
        if WIDE:
            high = _added(high, tile, high_x, (x_row + COLUMNS < rows) & (x_in < rest))
            high_x += PARTS * STEP
        weights += PARTS * STEP
        low_x += PARTS * STEP
    _store(low, scale_pointer, y_pointer, 0, rows, width_out, PARTS, WHOLE)
    if WIDE:
        _store(high, scale_pointer, y_pointer, COLUMNS, rows, width_out, PARTS, WHOLE)


@triton.jit
def _added(sums, tile, x, mask):
    """Sums [TILE, COLUMNS] and the product of a tile [TILE, STEP] and x [STEP, COLUMNS]."""
    right = tl.load(x, mask=mask, other=0.0).to(tile.dtype)
    return tl.dot(tile, right, sums, input_precision="ieee")


@triton.jit
def _store(
    sums, scale_pointer, y_pointer, first, rows, width_out, PARTS: tl.constexpr, WHOLE: tl.constexpr
):
    """Add the parts of a tile's sums [TILE, COLUMNS] and store them as rows of y from `first` on."""
    if PARTS > 1:
        same = (tl.arange(0, TILE) % PARTS)[:, None] == (tl.arange(0, COLUMNS) % PARTS)[None, :]
        pairs = tl.reshape(tl.where(same, sums, 0.0), (TILE // PARTS, PARTS, COLUMNS // PARTS, PARTS))
        sums = tl.sum(tl.sum(pairs, 3), 1)
    out = tl.program_id(0) * (TILE // PARTS) + tl.arange(0, TILE // PARTS)
    row = first + tl.arange(0, COLUMNS // PARTS)
    if WHOLE:
        sums *= tl.load(scale_pointer + out, mask=out < width_out, other=0.0)[:, None]
    else:
        y_pointer += tl.program_id(1) * rows * width_out
    inside = (out < width_out)[:, None] & (row < rows)[None, :]
    y = y_pointer + row[None, :] * width_out + out[:, None]
    tl.store(y, sums.to(y_pointer.dtype.element_ty), mask=inside)


@triton.jit
def _widened(weights, dtype: tl.constexpr, PTX: tl.constexpr):
    """Weights as floats: four at a time in x's dtype, or one by one in fp32.

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


@triton.jit(do_not_specialize=["rows"])
def reduce(sums_pointer, scale_pointer, y_pointer, rows, width_out, SPLITS: tl.constexpr):
    """Add sums [SPLITS, rows, width_out] fp32 in the order of the splits, scale, round to y's dtype."""
    row = tl.program_id(1)
    out = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = out < width_out
    sums = sums_pointer + row * width_out + out
    total = tl.load(sums, mask=inside, other=0.0)
    for split in tl.static_range(1, SPLITS):  # unrolled, so that no load waits for the one before
        total += tl.load(sums + split * rows * width_out, mask=inside, other=0.0)
    y = total * tl.load(scale_pointer + out, mask=inside, other=0.0)
    tl.store(y_pointer + row * width_out + out, y.to(y_pointer.dtype.element_ty), mask=inside)
