"""Small learned tables, which all models hold as embeddings because ComfyUI can stream those."""

from __future__ import annotations

from math import ceil
from typing import Any

import torch
from torch import Tensor


def rows(table: Any, like: Tensor) -> Tensor:
    """All rows [rows, width] of an embedding, in the dtype and on the device of `like`."""
    return table(torch.arange(table.num_embeddings, device=like.device)).to(like.dtype)


def tile(codes: Tensor, length: int) -> Tensor:
    """Repeat [..., T] codes from their start until there are `length`."""
    repeats = ceil(length / codes.shape[-1])
    return codes.repeat(*(1 for _ in codes.shape[:-1]), repeats)[..., :length]
