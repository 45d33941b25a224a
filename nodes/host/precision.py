"""How models store weights and compute on ComfyUI's devices: dtypes, layer classes, attention, kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management as mm
import comfy.ops
import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor, nn

from ...levo.layers import fbgemm, few_rows, fp8, int4, int8, quantised
from ...levo.layers.attention import Attention, CacheMask, Flash, flash_package, matmul_attention
from ...levo.layers.choices import (
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


@dataclass(frozen=True)
class Precision:
    """How a model stores its weights and computes: decided by its loader, once."""

    dtype: torch.dtype  # of activations, and of weights that are not stored smaller
    operations: Any  # ComfyUI's layer classes
    plain: Any  # torch's, which store the same: their tensors are those that the model needs
    attention: Attention


def lelm_precision(choice: str, attention: str, head_width: int) -> Precision:
    """How LeLM computes, for choices made by name.

    Raises:
        ValueError: flash-attn was chosen and cannot be used.
    """
    dtype, on_cpu = _lelm_dtype(choice), is_packed(choice, mm.get_torch_device())

    def layers(base: Any, small: Mapping[str, Any], table: Any) -> Any:
        if choice == FP8:  # as with int8, the bridge stays
            return fp8.operations(base, biased=False)
        if on_cpu:
            base, small = fbgemm.operations(base), PACKED
        if choice not in small:
            return base
        kernel = {} if on_cpu else {"kernel": few_rows_kernel(small[choice], dtype)}
        return quantised.operations(base, partial(small[choice], **kernel), table)

    base = _casting_operations(dtype) if choice == FP8 else _operations_for(dtype)
    attend = _lelm_attention(attention, dtype, head_width, matmul_attention if on_cpu else torch_attention)
    return Precision(dtype, layers(base, STREAMING, Int8Embedding), layers(nn, PLAIN, TABLE), attend)


def few_rows_kernel(layer: type[quantised.QuantisedLinear], dtype: torch.dtype) -> quantised.Kernel | None:
    """What multiplies by few bits on ComfyUI's device; says in the log what it is."""
    return few_rows.few_rows_kernel(layer, mm.get_torch_device(), dtype)


def renderer_precision(choice: str, attention: str, head_width: int) -> Precision:
    """How the renderer computes, for choices made by name.

    Raises:
        ValueError: flash-attn was chosen and cannot be used.
    """
    dtype = _renderer_dtype(choice)
    attend = _flow_attention(attention, dtype, head_width)
    if choice != FP8:
        return Precision(dtype, _operations_for(dtype), nn, attend)
    streaming, plain = (fp8.operations(base, biased=True) for base in (_casting_operations(dtype), nn))
    return Precision(dtype, streaming, plain, attend)


def audio_precision(choice: str = AUTO) -> Precision:
    """How VAE and style encoder compute, for a dtype chosen by name."""
    dtype = DTYPES.get(choice, torch.float32)  # rounding garbles waveforms
    return Precision(dtype, _operations_for(dtype), nn, comfy_attention)


def _lelm_dtype(choice: str) -> torch.dtype:
    """Where none is named what is fast; fp32 for matrices that a CPU packs."""
    if is_packed(choice, mm.get_torch_device()):
        return torch.float32
    return DTYPES.get(choice) or _fast_dtype()


def _renderer_dtype(choice: str) -> torch.dtype:
    """Where none is named what is fast on CUDA, and else fp32."""
    on_cuda = mm.get_torch_device().type == "cuda"
    return DTYPES.get(choice) or (_fast_dtype() if on_cuda else torch.float32)


def _fast_dtype() -> torch.dtype:
    """fp16, as published, which rounds an eighth of what bf16 does; where it is slow bf16, else fp32."""
    device = mm.get_torch_device()
    if mm.should_use_fp16(device):
        return torch.float16
    return torch.bfloat16 if mm.should_use_bf16(device) else torch.float32


def _operations_for(dtype: torch.dtype) -> type:
    """ComfyUI's layer classes for weights stored and computed in `dtype`."""
    return comfy.ops.pick_operations(dtype, dtype, load_device=mm.get_torch_device())


class Streaming(quantised.QuantisedLinear, comfy.ops.CastWeightBiasOp):
    """A layer in few bits that ComfyUI can leave behind: its numbers are moved as they are, each call."""

    bias = None  # ComfyUI looks for it in every layer that it casts

    def forward(self, x: Tensor) -> Tensor:
        comfy.ops.run_every_op()
        if not self.comfy_cast_weights:
            return super().forward(x)
        # By default the weights would be cast to the dtype of x, and lose their scale.
        weight, _, stream = comfy.ops.cast_bias_weight(
            self, dtype=self.weight.dtype, device=x.device, offloadable=True
        )
        scale = mm.cast_to_device(self.scale, x.device, self.scale.dtype)
        y = self.product(x, weight, scale)
        comfy.ops.uncast_bias_weight(self, weight, None, stream)
        return y


class Int8Linear(Streaming, int8.Int8Linear):
    pass


class Int4Linear(Streaming, int4.Int4Linear):
    pass


class Int8Embedding(Streaming, int8.Int8Embedding):
    pass


STREAMING: dict[str, type[nn.Module]] = {INT8: Int8Linear, INT4: Int4Linear}


def _casting_operations(dtype: torch.dtype) -> type:
    # Multiplying in fp8, which ComfyUI can be started with, rounds activations too.
    return comfy.ops.pick_operations(fp8.FP8, dtype, mm.get_torch_device(), disable_fast_fp8=True)


def torch_attention(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
) -> Tensor:
    """Torch's fused kernels by ComfyUI's priorities. See `levo.layers.attention`."""
    scores = None if mask is None else mask.scores
    out = comfy.ops.scaled_dot_product_attention(query, key, value, attn_mask=scores, is_causal=causal)
    return out.transpose(1, 2).flatten(2)


def comfy_attention(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
) -> Tensor:
    """Whatever ComfyUI was started with, without quantised kernels; everything is visible."""
    return optimized_attention(
        query, key, value, query.shape[1], skip_reshape=True, low_precision_attention=False
    )


def _lelm_attention(choice: str, dtype: torch.dtype, head_width: int, fallback: Attention) -> Attention:
    """For the choice made by name; `auto` takes flash-attn where it is there and fits, else `fallback`."""
    if choice == FLASH:
        return _flash(dtype, head_width)
    if choice == SDPA:
        return torch_attention
    package = flash_package()
    return Flash(package, fallback) if package else fallback


def _flow_attention(choice: str, dtype: torch.dtype, head_width: int) -> Attention:
    """For the choice made by name; `auto` takes ComfyUI's own."""
    if choice == FLASH:
        return _flash(dtype, head_width)
    return comfy_attention if choice == AUTO else torch_attention


def _flash(dtype: torch.dtype, head_width: int) -> Attention:
    return flash_attention(mm.get_torch_device(), dtype, head_width, "set attention to auto or sdpa")
