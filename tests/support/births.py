"""Which tensors of a run are still alive after it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Births(TorchDispatchMode):
    """Remembers, weakly, every tensor that an operation makes while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self._made: list[weakref.ref[Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = {id(x) for x in tree_leaves((args, kwargs))}
        created = [x for x in tree_leaves(out) if isinstance(x, Tensor) and id(x) not in inputs]
        self._made += map(weakref.ref, created)
        return out

    def __len__(self) -> int:
        return len(self._made)

    def living(self, but: Iterable[Tensor] = ()) -> list[list[int]]:
        """Shapes of those that are alive and share no memory with the tensors `but`."""
        known = {x.untyped_storage().data_ptr() for x in but}
        created = [ref() for ref in self._made]
        return [
            list(x.shape)
            for x in created
            if x is not None and x.numel() and x.untyped_storage().data_ptr() not in known
        ]
