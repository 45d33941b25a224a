"""Keys and values of one run, in memory reserved once."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keys and values of all layers for up to `capacity` positions.

    One tensor [layers, 2, rows, heads, capacity, head width], made for a call and dropped with it.
    Every layer calls `extend` with the positions of this pass; the caller then calls `advance` once.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        heads: int,
        capacity: int,
        head_width: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.store = torch.empty(layers, 2, rows, heads, capacity, head_width, device=device, dtype=dtype)
        self.length = 0

    @property
    def capacity(self) -> int:
        return self.store.shape[4]

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write this pass's [rows, heads, T, head width] behind the past; return past and present.

        Raises:
            IndexError: the cache is full.
        """
        end = self.length + key.shape[2]
        if end > self.capacity:
            raise IndexError(f"KV cache holds {self.capacity} positions, {end} are needed")
        keys, values = self.store[layer]
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, positions: int) -> None:
        self.length += positions
