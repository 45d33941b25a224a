"""How models store weights and compute without ComfyUI: devices, dtypes, layer classes, attention.

The choices and what `auto` means are those of the loaders (nodes/host/precision.py), whose layer classes
are ComfyUI's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ..config import first_line
from ..layers import fbgemm, fp8, quantised
from ..layers.attention import Attention, Flash, flash_package, matmul_attention, sdpa
from ..layers.choices import (
    AUTO,
    DTYPES,
    FLASH,
    FP8,
    INT4,
    INT8,
    PACKED,
    PLAIN,
    SDPA,
    TABLE,
    flash_attention,
    is_packed,
)
from ..layers.few_rows import few_rows_kernel

LELM_DTYPES = (AUTO, *DTYPES, INT8, INT4, FP8)
RENDERER_DTYPES = (AUTO, *DTYPES, FP8)
VAE_DTYPES = (AUTO, *DTYPES)
ATTENTIONS = (AUTO, SDPA, FLASH)
FAST_FP16 = (7, 0)  # the oldest NVIDIA cards that multiply fp16 faster than fp32


@dataclass(frozen=True)
class Precision:
    """How a model stores its weights and computes."""

    dtype: torch.dtype  # of activations, and of weights that are not stored smaller
    operations: Any  # layer classes
    attention: Attention


def device_of(choice: str) -> torch.device:
    """The device of a choice: `auto` takes a CUDA card, else Apple's, else the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    if choice == AUTO:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(choice)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"The device {choice!r} cannot be used ({first_line(error)}); choose another."
        ) from error
    return device


def lelm_precision(choice: str, attention: str, head_width: int, device: torch.device) -> Precision:
    """How LeLM computes, for choices made by name.

    Raises:
        ValueError: flash-attn was chosen and cannot be used.
    """
    if is_packed(choice, device):
        base = fbgemm.operations(nn)
        layers = quantised.operations(base, PACKED[choice], TABLE) if choice in PACKED else base
        return Precision(
            torch.float32,
            layers,
            _attention(attention, torch.float32, head_width, device, matmul_attention),
        )
    dtype = DTYPES.get(choice) or _fast_dtype(device)
    attend = _attention(attention, dtype, head_width, device, sdpa)
    if choice == FP8:  # as with int8, the bridge stays
        return Precision(dtype, fp8.operations(fp8.CASTING, biased=False), attend)
    if choice in PLAIN:
        kernel = few_rows_kernel(PLAIN[choice], device, dtype)
        layers = quantised.operations(nn, partial(PLAIN[choice], kernel=kernel), TABLE)
        return Precision(dtype, layers, attend)
    return Precision(dtype, nn, attend)


def renderer_precision(choice: str, attention: str, head_width: int, device: torch.device) -> Precision:
    """How the renderer computes, for choices made by name.

    Raises:
        ValueError: flash-attn was chosen and cannot be used.
    """
    fast = _fast_dtype(device) if device.type == "cuda" else torch.float32
    dtype = DTYPES.get(choice) or fast
    # The published renderer attends by torch's own, which is what heads of its width want.
    chosen = attention if attention == FLASH else SDPA
    layers = fp8.operations(fp8.CASTING, biased=True) if choice == FP8 else nn
    return Precision(dtype, layers, _attention(chosen, dtype, head_width, device, sdpa))


def audio_precision(choice: str = AUTO) -> Precision:
    """How VAE and style encoder compute: rounding garbles waveforms."""
    return Precision(DTYPES.get(choice, torch.float32), nn, sdpa)


def _fast_dtype(device: torch.device) -> torch.dtype:
    """fp16, as published, where it is fast; else fp32."""
    if device.type != "cuda":
        return torch.float16 if device.type == "mps" else torch.float32
    fast = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= FAST_FP16
    return torch.float16 if fast else torch.float32


def _attention(
    choice: str, dtype: torch.dtype, head_width: int, device: torch.device, fallback: Attention
) -> Attention:
    """For the choice made by name; `auto` takes flash-attn where it is there and fits, else `fallback`."""
    if choice == SDPA:
        return sdpa
    if choice == FLASH:
        return flash_attention(device, dtype, head_width, "choose auto or sdpa")
    package = flash_package()
    return Flash(package, fallback) if package else fallback
