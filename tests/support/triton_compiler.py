"""Compiles a Triton kernel for a card that need not be there."""

from __future__ import annotations

import os
from typing import Any

import pytest

NUMBERS = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


def number(name: str) -> Any:
    """Triton's type of a short name; skips the test where Triton is missing."""
    return getattr(pytest.importorskip("triton").language, NUMBERS[name])


def ptx(
    kernel: Any, card: int, types: dict[str, str], even: tuple[str, ...], constants: dict, **options: int
) -> str:
    """The PTX of a kernel, of which machine code was made as well.

    Args:
        card: compute capability, 90 for 9.0.
        types: of its arguments by name, as "i64"; constants are not among them.
        even: arguments that are known to be multiples of 16.
        options: as `num_warps`.
    """
    triton = pytest.importorskip("triton")
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("Triton only interprets")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = types | dict.fromkeys(constants, "constexpr")
    place = kernel.arg_names.index
    source = ASTSource(
        kernel,
        {name: types[name] for name in kernel.arg_names},
        {(place(name),): value for name, value in constants.items()},
        {(place(name),): [["tt.divisibility", 16]] for name in even},
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", card, 32), options=options)
    assert compiled.asm["cubin"]
    return compiled.asm["ptx"]
