"""Models of any size with random numbers, made on any device, and LeLM with other layers.

Numbers are of the size that trained ones have: no activation overflows, and rounding does what it would.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from levo.config import END, LelmConfig
from levo.layers import fbgemm, int4, int4_cpu, int8, quantised, quantised_triton, weights
from levo.layers.attention import Attention, matmul_attention, sdpa
from levo.lelm.model import LeLM
from levo.tiny import LOUDNESS

Model = TypeVar("Model", bound=nn.Module)
ON_CARD = {"int8": int8.Int8Linear, "int4": int4.Int4Linear}
ON_CPU = {"int8": fbgemm.PackedInt8Linear, "int4": int4_cpu.PackedInt4Linear}


def random_model(
    config: LelmConfig, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> LeLM:
    """A LeLM with random weights.

    Tables of conditions are looked up once a song: theirs are one row, shown as often as they are long.
    """
    return filled(LeLM(config, device="meta", dtype=dtype), device)


def filled(model: Model, device: torch.device | str) -> Model:
    """Give a model on the meta device random numbers, which are made on `device` and always the same."""
    generator = torch.Generator(device).manual_seed(0)
    state = {name: _numbers(name, like, generator) for name, like in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    return model


def _numbers(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    how = {"device": generator.device, "dtype": like.dtype}
    if name.startswith("conditioner."):
        return torch.randn(1, like.shape[1], generator=generator, **how).expand(like.shape)
    if name.endswith("norm.weight"):
        return torch.ones(like.shape, **how)
    if name == "statistics.weight":  # mean and deviation of latents
        return torch.arange(2, **how)[:, None].repeat(1, like.shape[1])
    made = torch.randn(like.shape, generator=generator, **how)
    if like.ndim == 1:  # biases, and coefficients of snakes on a log scale
        return made.mul_(0.1)
    scale = LOUDNESS if name == "decoder.last.weight" else 1
    return made.mul_(scale / like[0].numel() ** 0.5)


def endless(model: LeLM) -> LeLM:
    """Keep a random LeLM from ending its songs, which is at most one of CODES likely codes.

    END gets the logit 0, and half of all codes have a larger one: it is never the likeliest, nor among the
    `top_k` that are drawn from.
    """
    for head in model.heads:
        head.weight.data[END] = 0
    return model


def copied(model: nn.Module, other: Model) -> Model:
    """Give a model on the meta device the numbers of another, rounded to the dtypes that it has."""
    dtypes = {name: tensor.dtype for name, tensor in other.state_dict().items()}

    def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
        return tensor[:1].to(dtype).expand(tensor.shape) if tensor.stride(0) == 0 else tensor.to(dtype)

    state = {name: cast(tensor, dtypes[name]) for name, tensor in model.state_dict().items()}
    other.load_state_dict(state, assign=True)
    return other


def in_dtype(model: LeLM, dtype: torch.dtype) -> LeLM:
    """A copy of a LeLM in another dtype."""
    return copied(model, LeLM(model.config, device="meta", dtype=dtype))


def in_few_bits(model: LeLM, form: str) -> LeLM:
    """A copy of a LeLM as nodes load int8 or int4 on a CPU: the bridge is fp16, norms and tables stay."""
    return with_layers(model, quantised.operations(fbgemm.operations(nn), ON_CPU[form]), matmul_attention)


def in_fp16(model: LeLM) -> LeLM:
    """A copy of a LeLM as nodes load fp16 on a CPU: matrices are fp16, norms and tables stay float32."""
    return with_layers(model, fbgemm.operations(nn), matmul_attention)


def few_bits_on_card(model: LeLM, form: str, kernel: quantised.Kernel | None) -> LeLM:
    """A copy of a LeLM as nodes load int8 or int4 on a card; all but large matrices keep their dtype."""
    return with_layers(model, quantised.operations(nn, partial(ON_CARD[form], kernel=kernel)), sdpa)


def with_layers(model: LeLM, operations: Any, attention: Attention) -> LeLM:
    """A copy of a LeLM of other layers; what they store as it is in the model is shared."""
    norm = model.stage1.norm.weight
    other = LeLM(model.config, operations, attention, device="meta", dtype=norm.dtype)
    weights.assign(other, model.state_dict().items(), norm.device)
    return other


def without_layers(model: LeLM) -> LeLM:
    """The same weights with no layer in either stage."""
    bare = LeLM(replace(model.config, layers=0, layers_sub=0), device="meta")
    for name, part in model.named_children():
        if name.startswith("stage"):
            getattr(bare, name).norm = part.norm
        else:
            setattr(bare, name, part)
    return bare


def triton_kernel(device: torch.device) -> quantised.Kernel | None:
    """What multiplies by few bits on a card, without trying it; None where there is no such card."""
    if not quantised_triton.is_available(device):
        return None
    return quantised.Kernel("a Triton kernel", quantised_triton.MAX_ROWS, quantised_triton.product)
