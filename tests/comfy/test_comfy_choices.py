"""The dtypes and kernels that loaders choose, by what a machine is fast at."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import findings_of

# LeLM auto and int8, renderer auto
DTYPES = {
    "a card of today": ("float16", "float16", "float16"),
    "a card without bf16": ("float16", "float16", "float16"),
    "a card without fp16": ("bfloat16", "bfloat16", "bfloat16"),
    "a card with neither": ("float32", "float32", "float32"),
    "a Mac": ("float16", "float16", "float32"),
    "a CPU": ("float32", "float32", "float32"),
    "a CPU with FBGEMM": ("float32", "float32", "float32"),
}
BROKEN = "int8: one that is broken cannot be used here (no compiler)."
WRONG = "int8: one that is wrong cannot be used here (it gives wrong numbers)."
RIGHT = "int8 matrices are multiplied by one that is right."
NONE = (
    "int8 is for memory alone on this card: no kernel multiplies by bytes, so each step turns all matrices "
    "into float16, which takes longer than reading them as float16 would."
)
KERNELS = {
    "right, wrong": [RIGHT],
    "wrong, right": [WRONG, RIGHT],
    "broken, right": [BROKEN, RIGHT],
    "broken, wrong": [BROKEN, WRONG, NONE],
    "": [NONE],
}


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What choices.py saw."""
    return findings_of("choices.py")


@pytest.mark.parametrize("machine", DTYPES)
def test_auto_is_what_the_machine_is_fast_at(findings: dict[str, Any], machine: str):
    found = findings[machine]
    assert (found["lelm auto"], found["lelm int8"], found["renderer auto"]) == DTYPES[machine]


@pytest.mark.parametrize("machine", DTYPES)
def test_the_vae_is_float32_and_what_is_named_is_taken(findings: dict[str, Any], machine: str):
    found = findings[machine]
    assert (found["vae auto"], found["renderer fp32"], found["lelm bf16"]) == (
        "float32",
        "float32",
        "bfloat16",
    )


@pytest.mark.parametrize("kernels", KERNELS)
def test_the_first_int8_kernel_that_is_right_is_taken_and_all_is_said(
    findings: dict[str, Any], kernels: str
):
    found = findings["kernels"][kernels]
    assert found["said"] == KERNELS[kernels]
    assert found["name"] == ("one that is right" if RIGHT in found["said"] else None)


def test_a_cpu_has_its_own_ways(findings: dict[str, Any]):
    assert findings["on a CPU"]
