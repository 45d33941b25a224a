"""The renderer's flow and the VAE's decoder as the published code computes them: what `rendering.py` beats.

Written by us after the description of the released models. A mask that hides nothing is built and added,
attention is written out, modulation is computed at every step, the activations of the decoder are passes of
their own, and weight norm is computed at every call.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from levo.renderer.model import NORM_EPS, ROTARY_THETA, FlowBlock, FlowTransformer
from levo.vae.oobleck import DILATIONS, Decoder, ResidualUnit, Snake


def rotated(x: Tensor) -> Tensor:
    """Turn [B, heads, T, head width]; neighbours are one complex number."""
    width = x.shape[-1]
    rates = ROTARY_THETA ** -(torch.arange(0, width, 2, device=x.device).float() / width)
    angle = torch.outer(torch.arange(x.shape[2], device=x.device).float(), rates)
    turn = torch.polar(torch.ones_like(angle), angle)
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn).flatten(3).type_as(x)


def attention(block: FlowBlock, x: Tensor, mask: Tensor) -> Tensor:
    """softmax(QK^T / sqrt(d) + mask) V."""
    batch, frames, width = x.shape
    weight, bias = block.qkv.weight.t(), block.qkv.bias
    fused = torch.addmm(bias, x.view(-1, width), weight).view(batch, frames, -1)
    query, key, value = (
        part.view(batch, frames, block.heads, -1).permute(0, 2, 1, 3) for part in fused.split(width, dim=2)
    )
    query, key = rotated(query), rotated(key)
    scores = torch.matmul(query, key.transpose(-1, -2))
    scores = scores / torch.full([], value.shape[-1] ** 0.5, device=value.device)
    scores = torch.softmax(scores + mask, dim=-1).type(value.dtype)
    out = torch.matmul(F.dropout(scores, 0.1, training=False), value)
    return block.out(out.permute(0, 2, 1, 3).contiguous().view(batch, frames, width))


def gelu(x: Tensor) -> Tensor:
    """The tanh form, written out."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


def flow_block(block: FlowBlock, x: Tensor, moment: Tensor, mask: Tensor) -> Tensor:
    """moment: [B, 6 * width]."""
    table = block.modulation.weight[None] + moment.reshape(x.shape[0], 6, -1)
    shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = table.chunk(6, dim=1)
    h = block.attention_norm(x)
    x = x + gate * attention(block, h * (1 + scale) + shift, mask)
    h = block.mlp_norm(x)
    h = h * (1 + scale_mlp) + shift_mlp
    return x + gate_mlp * block.down(gelu(block.up(h)))


def flow_step(flow: FlowTransformer, parts: list[Tensor], time: Tensor) -> Tensor:
    """One step: the input is put together, then all of the flow runs.

    Args:
        flow: holds the weights.
        parts: mask, known latents, condition and noisy latents, each [B, T, n].
        time: [B].
    """
    x = torch.cat(parts, dim=2)
    visible = torch.ones(x.shape[:2], device=x.device)
    mask = (visible[:, None, :, None] * visible[:, None, None, :] > 0).to(x.dtype)
    mask = (1.0 - mask) * torch.finfo(x.dtype).min
    half = flow.config.time // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, device=x.device).float() / half)
    angle = 1000 * time[:, None] * rates
    moment = flow.time_out(F.silu(flow.time_in(torch.cat((angle.cos(), angle.sin()), dim=-1))))
    shared = flow.time_modulation(F.silu(moment))
    x = F.dropout(x + flow.positions(torch.arange(x.shape[1], device=x.device)[None]), 0.1, training=False)
    for block in flow.blocks:
        x = flow_block(block, x, shared, mask)
    shift, scale = (flow.modulation.weight[None] + moment[:, None]).chunk(2, dim=1)
    x = F.layer_norm(x, x.shape[-1:], flow.norm.weight, flow.norm.bias, NORM_EPS)
    return flow.out(x * (1 + scale) + shift)


def normed(layer: torch.nn.Module) -> Tensor:
    """A weight out of its direction and its length, as weight norm makes it at every call."""
    length = layer.weight.flatten(1).norm(dim=1)[:, None, None]
    return torch._weight_norm(layer.weight, length, 0)


def convolved(layer: torch.nn.Conv1d, x: Tensor) -> Tensor:
    return F.conv1d(x, normed(layer), layer.bias, layer.stride, layer.padding, layer.dilation)


def snake(layer: Snake, x: Tensor) -> Tensor:
    alpha, beta = (torch.exp(part[None, :, None]) for part in (layer.alpha, layer.beta))
    return x + (1.0 / (beta + 1e-9)) * torch.pow(torch.sin(x * alpha), 2)


def residual_unit(unit: ResidualUnit, x: Tensor) -> Tensor:
    y = convolved(unit.wide, snake(unit.snake_in, x))
    return x + convolved(unit.narrow, snake(unit.snake_out, y))


def decode(decoder: Decoder, latents: Tensor) -> Tensor:
    """[B, 64, T] -> [B, 2, 1920 T]."""
    x = convolved(decoder.first, latents)
    for block in decoder.blocks:
        up = block.resample
        x = F.conv_transpose1d(snake(block.snake, x), normed(up), up.bias, up.stride, up.padding)
        for unit, _ in zip(block.units, DILATIONS, strict=True):
            x = residual_unit(unit, x)
    return convolved(decoder.last, snake(decoder.snake, x))
