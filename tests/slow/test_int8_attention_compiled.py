"""The Triton kernels of attention to bytes, compiled without a card."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.triton_compiler import number, ptx

from levo.layers import int8_attention_triton
from levo.layers.int8_attention_triton import BLOCK, RUN

WIDTH = 128  # of the released models' heads
THREADS = 128  # Triton's four warps
NUMBERS = ("heads", "capacity", "width", "part_stride", "row_stride", "head_stride", "runs")


def compiled(name: str, card: int, x: str, **constants: object) -> str:
    pytest.importorskip("triton")
    kernel = getattr(int8_attention_triton._kernels(), name)
    types = {key: "i64" for key in kernel.arg_names if key.endswith("_address")}
    types |= {"factor": "fp32"} | {key: "i32" for key in NUMBERS if key in kernel.arg_names}
    constants = {"NUMBER": number(x), "WIDTH": WIDTH} | constants
    return ptx(kernel, card, types, ("width",), constants, num_warps=THREADS // 32)


@pytest.fixture(autouse=True)
def cache_of_triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("card", [80, 90, 120])
@pytest.mark.parametrize("x", ["fp16", "bf16"])
def test_keys_and_values_of_a_block_are_on_their_way_at_once_16_bytes_a_thread(card: int, x: str):
    code = compiled("attend", card, x, RUN=RUN, BLOCK=BLOCK, ALIGNED=True)
    lines = [line for line in code.splitlines() if "ld.global.v4" in line or "bar.sync" in line]
    loads = [n for n, line in enumerate(lines) if "ld.global.v4" in line]
    assert len(loads) == 2 * BLOCK * WIDTH // (16 * THREADS)
    assert loads[-1] - loads[0] == len(loads) - 1  # no thread waits for others in between


@pytest.mark.parametrize("x", ["fp16", "bf16"])
def test_a_cache_that_begins_anywhere_and_the_sum_of_runs_compile_too(x: str):
    assert "ld.global" in compiled("attend", 80, x, RUN=RUN, BLOCK=BLOCK, ALIGNED=False)
    assert "st.global" in compiled("merge", 80, x, RUNS=32)
