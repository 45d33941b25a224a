"""Small learned tables, which all models hold as embeddings because ComfyUI can stream those."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor, nn


def rows(table: nn.Module, like: Tensor) -> Tensor:
    """All rows [rows, width] of an embedding, in the dtype and on the device of `like`."""
    return table(torch.arange(table.num_embeddings, device=like.device)).to(like.dtype)


def tile(codes: Tensor, length: int) -> Tensor:
    """Repeat [..., T] codes from their start until there are `length`."""
    repeats = ceil(length / codes.shape[-1])
    return codes.repeat(*(1 for _ in codes.shape[:-1]), repeats)[..., :length]
