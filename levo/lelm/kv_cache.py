"""Keys and values of one run, in memory reserved once: growing while known positions are run, then fixed.

Made for a call and dropped with it. Positions are turned by the rotary tables that the caches hand out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..layers import int8_attention, int8_attention_triton
from ..layers.attention import Attention, CacheMask

SPAN = 256  # a fixed cache is read in multiples of so many positions

# First position, how many -> table [count, 2, head width]; see `levo.lelm.model.rotary_table`.
Rotary = Callable[[int, int], Tensor]


def capacity_for(positions: int) -> int:
    """Positions, rounded up to what a fixed cache reads at once."""
    return -(-positions // SPAN) * SPAN


@dataclass(frozen=True)
class Pass:
    """What all layers of a stage share in one pass."""

    factors: Tensor  # see `factors`
    mask: CacheMask | None = None  # which of a fixed cache's positions are seen


def factors(table: Tensor) -> Tensor:
    """What `levo.lelm.model.rotate` multiplies with: a table for queries and keys, 1 and 0 for values.

    Args:
        table: rotary, [count, 2, head width].

    Returns:
        [count, 2, 3, 1, head width].
    """
    count, _, width = table.shape
    rotation = table.new_empty(count, 2, 3, 1, width)
    rotation[:, :, :2, 0] = table[:, :, None]
    rotation[:, 0, 2], rotation[:, 1, 2] = 1, 0
    return rotation


class KVCache:
    """Keys and values of all layers of a stage for up to `capacity` positions; passes have any length.

    One tensor [layers, 2, rows, heads, capacity, head width]. A stage calls `begin`, each of its layers
    `extend` with the positions of this pass, and the stage `advance`.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        heads: int,
        capacity: int,
        head_width: int,
        rotary: Rotary,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        # Zeros, because a masked position still takes part as 0 times its value.
        self.store = torch.zeros(layers, 2, rows, heads, capacity, head_width, device=device, dtype=dtype)
        self.rotary = rotary
        self.length = self.span = 0  # positions of the past, and those that a pass reads

    @property
    def capacity(self) -> int:
        return self.store.shape[4]

    def begin(self, x: Tensor) -> tuple[Tensor, Pass]:
        """Start a pass over `x` [rows, T, width]; gives `x`, which layers may change in place.

        Raises:
            IndexError: the cache has fewer positions.
        """
        count = x.shape[1]
        self.span = self.length + count
        require(self.span, self.capacity)
        return x, Pass(factors(self.rotary(self.length, count)))

    def extend(self, layer: int, both: Tensor) -> tuple[Tensor, Tensor]:
        """Write this pass's keys and values [2, rows, heads, T, head width]; return past and present."""
        end = self.length + both.shape[3]
        self.store[layer][..., self.length : end, :] = both
        keys, values = self.store[layer][..., :end, :]
        return keys, values

    def attend(self, layer: int, turned: Tensor, attention: Attention, mask: CacheMask | None) -> Tensor:
        """[rows, T, heads * head width]: what this pass attends to, by query, key and value [3, ...]."""
        # A pass of several positions is a prefill and starts from nothing, so "causal" hides enough.
        return attention(turned[0], *self.extend(layer, turned[1:]), turned.shape[3] > 1, mask)

    def advance(self, positions: int) -> None:
        self.length += positions

    @property
    def past(self) -> Tensor:
        """What is filled, [layers, 2, rows, heads, length, head width]."""
        return self.store[..., : self.length, :]

    def fixed(
        self, capacity: int, copies: int = 1, small: bool = False, takes: int | None = None
    ) -> FixedCache:
        """A cache that goes on from here, each row repeated `copies` times; this one is used no more.

        Args:
            capacity: of the new cache, a multiple of SPAN.
            copies: how many rows there will be for each.
            small: keep bytes.
            takes: if more than `copies`, rows that the new cache has for each: `FixedCache.fill` gives it
                those of other songs.
        """
        table, takes = self.rotary(0, capacity), takes or copies
        if takes == 1 and capacity == self.capacity and not small:
            return FixedCache(self.store, self.length, table)
        layers, _, rows, heads, _, width = self.store.shape
        shape = layers, 2, rows * takes, heads, capacity, width
        cache = (
            Int8Cache(shape, self.length, table)
            if small
            else FixedCache(self.store.new_zeros(shape), self.length, table)
        )
        cache.fill(self.past, 0, copies)
        return cache


class FixedCache:
    """Takes one position at a time, which is a number on the device, as a CUDA graph needs.

    Shapes stay the same until `reach` makes `span` longer, and every tensor that layers are given, `x`
    included, stays where it is.
    """

    def __init__(self, store: Tensor, length: int, table: Tensor):
        """Go on from a growing cache.

        Args:
            store: as `KVCache` has it.
            length: positions of it that are filled.
            table: rotary, of all positions.
        """
        _, _, rows, heads, capacity, width = store.shape
        self.store, self.span = store, 0
        self._at = torch.full((1,), length, device=store.device)
        self._x = table.new_empty(rows, 1, heads * width)
        self._table = table
        self._factors = factors(table[:1])
        self._mask = table.new_zeros(1, 1, 1, capacity)  # added to scores
        self._mask[..., length:] = -torch.inf
        self._lengths = torch.full((rows,), length, dtype=torch.int32, device=store.device)
        self.reach(length + 1)

    @property
    def capacity(self) -> int:
        return self.store.shape[4]

    def fill(self, past: Tensor, first: int, copies: int) -> None:
        """Give some takes what is known at the start.

        Args:
            past: [layers, 2, rows, heads, positions, head width] of a growing cache, as many positions as
                this one started with.
            first: the first of the takes.
            copies: how many takes there are, all with the same.
        """
        of_takes = self.store.unflatten(2, (past.shape[2], -1))[:, :, :, first : first + copies]
        of_takes[..., : past.shape[4], :] = past.unsqueeze(3)

    def reach(self, positions: int) -> None:
        """Read at least so many positions.

        Raises:
            IndexError: the cache has fewer.
        """
        require(positions, self.capacity)
        self.span = min(self.capacity, capacity_for(positions))

    def begin(self, x: Tensor) -> tuple[Tensor, Pass]:
        """Start a pass over `x` [rows, 1, width]; gives its copy, which layers may change in place."""
        self._factors[:, :, :2, 0] = self._table.index_select(0, self._at)[:, :, None]
        self._mask.index_fill_(3, self._at, 0)
        self._lengths.add_(1)
        return self._x.copy_(x), Pass(self._factors, CacheMask(self._mask[..., : self.span], self._lengths))

    def extend(self, layer: int, both: Tensor) -> tuple[Tensor, Tensor]:
        """Write this pass's keys and values [2, rows, heads, 1, head width]; return the first `span`."""
        self.store[layer].index_copy_(3, self._at, both)
        keys, values = self.store[layer][..., : self.span, :]
        return keys, values

    def attend(self, layer: int, turned: Tensor, attention: Attention, mask: CacheMask | None) -> Tensor:
        """See `KVCache.attend`."""
        return attention(turned[0], *self.extend(layer, turned[1:]), False, mask)

    def advance(self, positions: int) -> None:
        self._at.add_(positions)


class Int8Cache(FixedCache):
    """A fixed cache of bytes, with a scale for each position of a head: about half the memory of fp16.

    Keys are kept around the mean of those that are known at the start; see `levo.layers.int8_attention`.
    """

    def __init__(self, shape: tuple[int, ...], length: int, table: Tensor):
        """Start with zeros, for `fill`.

        Args:
            shape: [layers, 2, rows, heads, capacity, head width].
            length: positions that are filled.
            table: rotary, of all positions.
        """
        layers, _, rows, heads, _, width = shape
        device = table.device
        super().__init__(torch.zeros(shape, dtype=torch.int8, device=device), length, table)
        self._scales = torch.zeros(shape[:-1], device=device)
        self._means = torch.zeros(layers, rows, heads, width, device=device)
        self._by_kernel = int8_attention_triton.is_available(device, table.dtype, width)

    def fill(self, past: Tensor, first: int, copies: int) -> None:
        """See `FixedCache.fill`."""
        rows, length = past.shape[2], past.shape[4]
        mine = slice(first, first + copies)
        for layer in range(len(past)):  # one at a time: no copy of the whole is made in floats
            around = past[layer].to(torch.float32, copy=True)
            means = around[0].mean(dim=2)
            around[0] -= means[:, :, None]
            numbers, scales = int8_attention.quantise(around)
            self.store[layer].unflatten(1, (rows, -1))[:, :, mine, :, :length] = numbers.unsqueeze(2)
            self._scales[layer].unflatten(1, (rows, -1))[:, :, mine, :, :length] = scales.unsqueeze(2)
            self._means[layer].unflatten(0, (rows, -1))[:, mine] = means.unsqueeze(1)

    def extend(self, layer: int, both: Tensor) -> tuple[Tensor, Tensor]:
        int8_attention.append(*self._kept(layer), self._at, both)
        numbers, scales = self.store[layer][..., : self.span, :], self._scales[layer][..., : self.span]
        keys, values = int8_attention.dequantise(numbers, scales, both.dtype)
        return keys, values

    def attend(self, layer: int, turned: Tensor, attention: Attention, mask: CacheMask | None) -> Tensor:
        if not self._by_kernel:
            return super().attend(layer, turned, attention, mask)
        return int8_attention_triton.attend(turned, *self._kept(layer), self._lengths, self.span)

    def _kept(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers, scales and means."""
        return self.store[layer], self._scales[layer], self._means[layer]


def require(positions: int, capacity: int) -> None:
    """Raise IndexError where a cache has fewer positions than are needed."""
    if positions > capacity:
        raise IndexError(f"KV cache holds {capacity} positions, {positions} are needed")
