"""Keys and values of one run, in memory reserved once."""

from __future__ import annotations

import torch
from torch import Tensor

from ..attention import Visible

SPAN = 256  # a fixed cache is read in multiples of so many positions


def capacity_for(positions: int) -> int:
    """Positions, rounded up to what a fixed cache reads at once."""
    return -(-positions // SPAN) * SPAN


class KVCache:
    """Keys and values of all layers of a stage for up to `capacity` positions.

    One tensor [layers, 2, rows, heads, capacity, head width], made for a call and dropped with it.
    Every layer calls `extend` with the positions of this pass; the caller then calls `advance` once.

    A cache grows by slices until `fix` is called. From then on each pass has one position, which is a
    number on the device, and all shapes stay the same until `span` is changed: what a CUDA graph needs.
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
        rotary: tuple[Tensor, ...] = (),
    ):
        # Zeros, because a masked position still takes part as 0 times its value.
        self.store = torch.zeros(layers, 2, rows, heads, capacity, head_width, device=device, dtype=dtype)
        self.length = 0
        self.span = 0  # of a fixed cache: positions read, masked from the present one on
        self._rotary = rotary  # cosines and sines of all positions
        self._at: Tensor | None = None  # [1], of a fixed cache

    @property
    def capacity(self) -> int:
        return self.store.shape[4]

    def fix(self) -> None:
        """Let the position be a number on the device from now on."""
        self._at = torch.tensor([self.length], device=self.store.device)
        self.reach(self.length + 1)

    def reach(self, positions: int) -> None:
        """Make a fixed cache read at least so many positions.

        Raises:
            IndexError: the cache has fewer.
        """
        self._check(positions)
        self.span = min(self.capacity, capacity_for(positions))

    def take(self, other: KVCache) -> None:
        """Begin with what another cache of fewer rows holds, each of its rows repeated for ours."""
        past = other.store[..., : other.length, :]
        copies = self.store.shape[2] // other.store.shape[2]
        self.store[..., : other.length, :] = past.repeat_interleave(copies, dim=2)
        self.length = other.length

    def rotary(self, count: int) -> tuple[Tensor, ...]:
        """Cosines and sines [count, head width] of this pass.

        Raises:
            IndexError: the cache is full.
        """
        if self._at is not None:
            return tuple(table.index_select(0, self._at) for table in self._rotary)
        self._check(self.length + count)
        return tuple(table[self.length : self.length + count] for table in self._rotary)

    def visible(self) -> Visible | None:
        """What a pass over a fixed cache sees; None where it sees everything."""
        if self._at is None:
            return None
        return Visible(self._at, self.span, self.store.shape[2], self.store.dtype)

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write this pass's [rows, heads, T, head width] behind the past; return past and present.

        Raises:
            IndexError: the cache is full.
        """
        keys, values = self.store[layer]
        if self._at is not None:
            keys.index_copy_(2, self._at, key)
            values.index_copy_(2, self._at, value)
            return keys[:, :, : self.span], values[:, :, : self.span]
        end = self.length + key.shape[2]
        self._check(end)
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, positions: int) -> None:
        if self._at is not None:
            self._at += positions
        else:
            self.length += positions

    def _check(self, positions: int) -> None:
        if positions > self.capacity:
            raise IndexError(f"KV cache holds {self.capacity} positions, {positions} are needed")
