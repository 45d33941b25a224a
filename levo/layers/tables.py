"""Small learned tables, which all models hold as embeddings because ComfyUI can stream those."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def rows(table: nn.Module, like: Tensor) -> Tensor:
    """All rows [rows, width] of an embedding, in the dtype and on the device of `like`."""
    return table(torch.arange(table.num_embeddings, device=like.device)).to(like.dtype)
