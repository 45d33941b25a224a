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
NONE = (
    "int8 and int4 are for memory alone on this machine: no kernel multiplies by them, so each step turns "
    "all matrices into float16, which takes longer than reading them as float16 would."
)
KERNELS = {
    "right": ["Matrices in few bits are multiplied by one that is right."],
    "wrong": ["One that is wrong cannot be used here (it gives wrong numbers).", NONE],
    "broken": ["One that is broken cannot be used here (no compiler).", NONE],
    "none": [NONE],
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


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_is_tried_before_it_is_taken_and_all_is_said(findings: dict[str, Any], kernel: str):
    found = findings["kernels"][kernel]
    assert found["said"] == KERNELS[kernel]
    assert found["name"] == ("one that is right" if kernel == "right" else None)
