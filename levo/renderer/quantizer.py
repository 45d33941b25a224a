"""Codes to the features that they stand for: decoding a factorised codebook (arXiv:2110.04627)."""

from __future__ import annotations

from torch import Tensor, nn

from ..config import CODES, RendererConfig


class CodebookDecoder(nn.Module):
    """One track's codebook and the projection out of it."""

    def __init__(self, config: RendererConfig, operations, **place):
        super().__init__()
        self.codebook = operations.Embedding(CODES, config.code_width, **place)
        self.out = operations.Linear(config.code_width, config.condition, **place)

    def forward(self, codes: Tensor) -> Tensor:
        """[B, T] int64 -> [B, T, condition width]."""
        return self.out(self.codebook(codes))
