"""Products by int8 and int4 at every matrix of a step: microseconds, error, whether bits stay the same.

Matrices of one shape take turns, so many that the card's cache does not hold them, as in a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from statistics import median

import torch
from bench.gpu.report import Report
from bench.gpu.setting import LARGE, MEDIUM, Setting
from bench.models import ON_CARD, triton_kernel
from bench.table import seconds, show
from torch import Tensor
from torch.nn import functional as F

from levo.config import CODES, LelmConfig
from levo.layers import quantised

ROWS = (2, 4, 8, 16)
COLD_BYTES = 128_000_000  # of int4 matrices that take turns; an H100 caches 50 MB
ROUNDS, REPLAYS = 5, 4
FLOATS = "fp16"
BLOCKS = {form: f"{form} by blocks" for form in ON_CARD}

# x [rows, in] and the number of a matrix -> [rows, out].
Product = Callable[[Tensor, int], Tensor]


def run(report: Report, setting: Setting) -> None:
    """Measure all ways at all shapes, and report what a step takes of each."""
    kernel = triton_kernel(setting.device)
    if kernel is None:
        report.skip("Triton", "it is not there")
    kernels = {form: kernel for form in ON_CARD} if kernel else {}
    for size in (LARGE, MEDIUM):
        step: dict[tuple[str, int], float] = defaultdict(float)  # (way, rows) -> microseconds
        errors: dict[str, float] = defaultdict(float)
        table = []
        for name, (shape, times) in shapes(setting.lelm[size]).items():
            with report.case(f"{size} {name}"):
                for rows, spent in measured(report, f"{size} {name}", shape, setting, kernels, errors):
                    table.append([f"{name} {[*shape]}", str(rows), *(f"{us:.1f}" for us in spent.values())])
                    for way, us in spent.items():
                        step[way, rows] += us * times
        ways = [FLOATS, *kernels, *BLOCKS.values()]
        show(f"{size}: microseconds of one product", ["matrix", "rows", *ways], table)
        for (way, rows), us in step.items():
            report.add(f"{size} {way}, {rows} rows: matrices of a step", us / 1e3, "ms")
        for way in ways[1:]:
            most = quantised.Kernel.error
            report.add(f"{size} {way}: largest error", errors[way], "of its deviation", most=most)


def shapes(config: LelmConfig) -> dict[str, tuple[tuple[int, int], int]]:
    """Name -> shape of a large matrix, and how many of it a step reads."""
    width, inner, layers = config.width, config.inner, config.layers + config.layers_sub
    return {
        "qkv": ((3 * width, width), layers),
        "out": ((width, width), layers),
        "gate_up": ((2 * inner, width), layers),
        "down": ((width, inner), layers),
        "heads": ((CODES + 1, width), 3),
    }


def measured(
    report: Report,
    name: str,
    shape: tuple[int, int],
    setting: Setting,
    kernels: Mapping[str, quantised.Kernel],
    errors: dict[str, float],
) -> list[tuple[int, dict[str, float]]]:
    """For each number of rows, microseconds of each way; a way that fails takes NaN and is reported.

    Args:
        report: of the part.
        name: of the shape.
        shape: of the matrices.
        setting: where they are.
        kernels: by form, to measure beside floats and blocks.
        errors: by way; the largest is kept.
    """
    count = 2 if setting.dry else max(4, ceil(2 * COLD_BYTES / (shape[0] * shape[1])))
    like = {"device": setting.device, "dtype": setting.dtype("fp16")}
    floats = [torch.randn(shape, **like).div_(shape[1] ** 0.5) for _ in range(count)]
    numbers = {form: [layer.quantise(matrix) for matrix in floats] for form, layer in ON_CARD.items()}
    ways: dict[str, Product] = {FLOATS: lambda x, n: F.linear(x, floats[n])}
    ways |= {form: by_few_bits(kernel.multiply, numbers[form]) for form, kernel in kernels.items()}
    for form, layer in ON_CARD.items():
        multiply = partial(quantised.by_blocks, dequantise=layer.dequantise)
        ways[BLOCKS[form]] = by_few_bits(multiply, numbers[form])
    made = []
    for rows in ROWS:
        x = torch.randn(rows, shape[1], **like)
        exact = {
            form: x.float() @ layer.dequantise(*numbers[form][0]).t() for form, layer in ON_CARD.items()
        }
        spent = dict.fromkeys(ways, float("nan"))
        for way, product in ways.items():
            with report.case(f"{name}, {rows} rows, {way}", tidy=False):
                spent[way] = microseconds(partial(product, x), count, setting.dry)
                if way != FLOATS:
                    errors[way] = max(errors[way], checked(product, x, exact[way.split()[0]]))
        made.append((rows, spent))
    return made


def by_few_bits(multiply: Callable[..., Tensor], numbers: Sequence[tuple[Tensor, Tensor]]) -> Product:
    """A product by matrices in few bits and their scales."""
    return lambda x, n: multiply(x, *numbers[n])


def checked(product: Product, x: Tensor, expected: Tensor) -> float:
    """How far the product by the first matrix is off, of its deviation.

    Raises:
        ValueError: its bits are not the same every time, or numbers are none.
    """
    once, *others = (product(x, 0) for _ in range(3))
    if not bool(once.isfinite().all()):
        raise ValueError("the product has numbers that are none")
    if not all(torch.equal(once, other) for other in others):
        raise ValueError("the same product has other bits the next time")
    return ((once.float() - expected).norm() / expected.norm()).item()


def microseconds(call: Callable[[int], Tensor], count: int, dry: bool) -> float:
    """Time of one of `count` calls, which are captured together, as in a step."""

    def turn() -> None:
        for number in range(count):
            call(number)

    if dry:
        return 1e6 * seconds(turn) / count
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        turn()  # compiles, and starts what a capture must not start
        graph.capture_begin()
        try:
            turn()
        finally:
            graph.capture_end()
    torch.cuda.current_stream().wait_stream(stream)
    graph.replay()

    def replays() -> None:
        for _ in range(REPLAYS):
            graph.replay()

    spent = median(seconds(replays) for _ in range(ROUNDS))
    graph.reset()
    return 1e6 * spent / (REPLAYS * count)
