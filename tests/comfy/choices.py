"""What dtypes and kernels the loaders choose on other machines than this one; printed as JSON.

Run by test_comfy_choices.py in a process of its own, because it imports ComfyUI.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import comfy.model_management as mm
import pytest
import torch
from levo_pack.levo.layers import int8, quantised
from levo_pack.nodes.host import precision
from torch import Tensor

CPU = torch.device("cpu")
MACHINES = {  # device, fp16 is fast, bf16 is fast
    "a card of today": ("cuda", True, True),
    "a card without bf16": ("cuda", True, False),
    "a card without fp16": ("cuda", False, True),
    "a card with neither": ("cuda", False, False),
    "a Mac": ("mps", True, False),
    "a CPU": ("cpu", False, False),
}


def dtypes(device: str, fp16: bool, bf16: bool, packed: bool = False) -> dict[str, str]:
    """By loader and choice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mm, "get_torch_device", lambda: torch.device(device))
        patch.setattr(mm, "should_use_fp16", lambda device: fp16)
        patch.setattr(mm, "should_use_bf16", lambda device: bf16)
        patch.setattr(precision, "_operations_for", lambda dtype: torch.nn)
        patch.setattr(precision, "_casting_operations", lambda dtype: torch.nn)
        patch.setattr(precision, "few_rows_kernel", lambda layer, dtype: None)
        patch.setattr(precision.fbgemm, "is_available", lambda: packed)
        made = {
            f"lelm {name}": precision.lelm_precision(name, "sdpa", 16) for name in ("auto", "int8", "bf16")
        }
        made |= {
            f"renderer {name}": precision.renderer_precision(name, "sdpa", 16) for name in ("auto", "fp32")
        }
        made["vae auto"] = precision.audio_precision("auto")
    return {name: str(each.dtype).removeprefix("torch.") for name, each in made.items()}


def right(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return (x.float() @ int8.dequantise(weight, scale).t()).to(x.dtype)


def broken(*_: Tensor) -> Tensor:
    raise ImportError("no compiler\nat all")


IS_RIGHT = quantised.Kernel.is_right
KERNELS = {
    "right": quantised.Kernel("one that is right", 4, right),
    "wrong": quantised.Kernel("one that is wrong", 4, lambda *given: right(*given) * 1.1),
    "broken": quantised.Kernel("one that is broken", 4, broken),
}


def kernel(name: str) -> dict[str, Any]:
    """Whether a kernel is chosen on a card, and what is said."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    precision.few_rows.log.addHandler(handler)
    precision.few_rows.log.setLevel(logging.INFO)
    with pytest.MonkeyPatch.context() as patch:
        # The check that follows runs on the CPU.
        patch.setattr(mm, "get_torch_device", lambda: torch.device("cuda"))
        patch.setattr(precision.few_rows.quantised_triton, "is_available", lambda device: name != "none")
        patch.setattr(precision.few_rows.quantised, "Kernel", lambda *_: KERNELS[name])
        patch.setattr(
            type(KERNELS["right"]),
            "is_right",
            lambda self, layer, _, dtype, check=IS_RIGHT: check(self, layer, CPU, dtype),
        )
        chosen = precision.few_rows_kernel(int8.Int8Linear, torch.float16)
    precision.few_rows.log.removeHandler(handler)
    return {"name": chosen and chosen.name, "said": lines}


@torch.inference_mode()
def main() -> None:
    """Print the findings, as JSON."""
    findings: dict[str, Any] = {name: dtypes(*machine) for name, machine in MACHINES.items()}
    findings["a CPU with FBGEMM"] = dtypes(*MACHINES["a CPU"], packed=True)
    findings["kernels"] = {name: kernel(name) for name in (*KERNELS, "none")}
    sys.stdout.write(json.dumps(findings))


if __name__ == "__main__":
    main()
