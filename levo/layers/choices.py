"""The choices of number formats and attention that loaders and the command offer, and what they share.

What `auto` means, and whose layer classes are taken, is decided by who offers them: nodes/host/precision.py
with ComfyUI, levo/command/precision.py without it.
"""

from __future__ import annotations

from typing import Any

import torch

from . import fbgemm, int4, int4_cpu, int8
from .attention import Flash, flash_package, flash_refusal

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO, INT8, INT4, FP8 = "auto", "int8", "int4", "fp8_e4m3fn"
SDPA, FLASH = "sdpa", "flash_attn"
# Layers in few bits by their choice: as they are, and as a CPU packs them.
PLAIN: dict[str, Any] = {INT8: int8.Int8Linear, INT4: int4.Int4Linear}
PACKED: dict[str, Any] = {INT8: fbgemm.PackedInt8Linear, INT4: int4_cpu.PackedInt4Linear}
TABLE = int8.Int8Embedding  # of texts, with both


def is_packed(choice: str, device: torch.device) -> bool:
    """Whether LeLM runs on a CPU with small matrices and fp32 activations: what is fast there."""
    if device.type != "cpu" or not fbgemm.is_available():
        return False
    return choice in (AUTO, "fp16", INT8) or (choice == INT4 and int4_cpu.is_available())


def flash_attention(device: torch.device, dtype: torch.dtype, head_width: int, instead: str) -> Flash:
    """flash-attn, where it was chosen by name.

    Args:
        device, dtype, head_width: of what attends.
        instead: what to do where it cannot be used, for the message.

    Raises:
        ValueError: it cannot.
    """
    package = flash_package()
    refusal: str | None = "no package flash-attn that works is installed"
    if package is not None:
        refusal = flash_refusal(device, dtype, head_width)
    if package is None or refusal:
        raise ValueError(f"flash_attn cannot be used here: {refusal}; {instead}.")
    return Flash(package)
