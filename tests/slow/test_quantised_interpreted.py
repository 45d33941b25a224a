"""The Triton kernels of the int8 product in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_kernels_compute_the_product_in_tritons_interpreter():
    pytest.importorskip("triton")
    checks = Path(__file__).with_name("interpreted_quantised.py")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(checks)],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
