"""A stand-in for CUDA graphs on a CPU: what is captured is replayed operation by operation, from a tape.

As on a card, a replay reads and writes the very tensors of the capture and runs none of its Python. A CPU
cannot capture without computing; so the first replay after a capture does nothing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """Operations with their arguments and results, as they were called."""

    def __init__(self, refusal: str) -> None:
        super().__init__()
        self._refusal = refusal
        self._calls: list[tuple[Any, tuple, dict, Any]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self._refusal:
            raise RuntimeError(self._refusal)
        out = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, out))
        return out

    def play(self) -> None:
        """Compute everything again, into the tensors that were there when it was recorded."""
        for func, args, kwargs, out in self._calls:
            again = func(*args, **kwargs)
            for old, new in zip(_tensors(out), _tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():  # neither changed in place nor another look at it
                    old.copy_(new)


def _tensors(results: Any) -> list[Tensor]:
    return [each for each in tree_leaves(results) if isinstance(each, Tensor)]


class Stream:
    """Takes what streams are told."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_stream(self, other: Stream) -> None:
        assert other.device == self.device


class Cuda:
    """What happened to graphs, in order: "capture" and "replay"."""

    def __init__(self, refusal: str = "") -> None:
        self.events: list[str] = []
        self.alive: list[Graph] = []
        self.refusal = refusal  # with which operations fail that are captured
        self.captured_on: list[torch.device] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Cuda:
        """Take the place of torch.cuda's graphs."""
        parts = {
            "CUDAGraph": lambda: Graph(self),
            "Stream": Stream,
            "current_stream": Stream,
            "stream": self._enter,
            "graph_pool_handle": lambda: "pool",
        }
        for name, part in parts.items():
            monkeypatch.setattr(torch.cuda, name, part)
        return self

    def _enter(self, stream: Stream) -> AbstractContextManager[None]:
        self.captured_on.append(stream.device)
        return nullcontext()


class Graph:
    """See torch.cuda.CUDAGraph."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda, self._tape, self._fresh = cuda, Tape(cuda.refusal), True

    def capture_begin(self, pool: str, capture_error_mode: str) -> None:
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        self._cuda.events.append("capture")
        self._tape.__enter__()

    def capture_end(self) -> None:
        self._tape.__exit__(None, None, None)
        if not self._cuda.refusal:
            self._cuda.alive.append(self)

    def reset(self) -> None:
        self._cuda.alive.remove(self)

    def replay(self) -> None:
        assert self in self._cuda.alive
        self._cuda.events.append("replay")
        if not self._fresh:
            self._tape.play()
        self._fresh = False
