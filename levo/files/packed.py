"""A tensor that a file keeps in few bits, and the floats that it stands for, made once, when it is loaded.

Knows no format: who reads one says how some rows of it become floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

AT_ONCE = 1 << 18  # numbers that are made at once: a few copies of them are all that is needed beside


@dataclass(frozen=True)
class Packed:
    """A tensor in few bits."""

    shape: torch.Size  # of what it stands for
    parts: tuple[Tensor, ...]  # what the file holds of it, mapped; each has all of its rows
    decode: Callable[..., Tensor]  # the same rows of all parts to float32 [rows, columns]

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return sum(part.nbytes for part in self.parts)

    def floats(self, dtype: torch.dtype, look: Callable[[Tensor], None]) -> Tensor:
        """What it stands for, in memory of its own.

        Args:
            dtype: of the result.
            look: is shown all numbers, in pieces of float32, before they are rounded; may raise.
        """
        columns = self.shape[-1]
        whole = torch.empty(prod(self.shape[:-1]), columns, dtype=dtype)
        height = max(1, AT_ONCE // columns)
        for start in range(0, len(whole), height):
            rows = slice(start, start + height)
            piece = self.decode(*(part[rows] for part in self.parts))
            look(piece)
            whole[rows] = piece
        return whole.view(self.shape)


class PackedFile:
    """What files of such tensors have alike: one model, no encoder of a VAE, no origin but themselves."""

    second_kind: None = None
    encodes = False
    provenance: None = None


def described(tensors: Mapping[str, Tensor | Packed]) -> dict[str, Tensor]:
    """Tensors of a file as those that they stand for, packed ones on the meta device."""
    return {
        name: torch.empty(tensor.shape, device="meta") if isinstance(tensor, Packed) else tensor
        for name, tensor in tensors.items()
    }
