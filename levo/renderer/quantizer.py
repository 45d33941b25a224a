"""Codes to the features that they stand for: decoding a factorised codebook (arXiv:2110.04627)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..config import CODES, RendererConfig
from ..layers.operations import Operations


class CodebookDecoder(nn.Module):
    """One track's codebook and the projection out of it."""

    def __init__(self, config: RendererConfig, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.codebook = operations.Embedding(CODES, config.code_width, **factory_kwargs)
        self.out = operations.Linear(config.code_width, config.condition, **factory_kwargs)

    def forward(self, codes: Tensor) -> Tensor:
        """[B, T] int64 -> [B, T, condition width]."""
        return self.out(self.codebook(codes))
