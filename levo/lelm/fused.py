"""A block's step in few kernels: what lies between its matrix products and attention, by torch.compile.

One block is compiled and serves all blocks of both stages, as they differ in their weights alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import first_line
from .kv_cache import FixedCache, Pass
from .model import NORM_EPS, Block, plainly, rotate

log = logging.getLogger(__name__)

# A layer and an activation -> the layer's weight on the device and in the dtype of that, for a while.
Borrow = Callable[[nn.Module, Tensor], AbstractContextManager[Tensor]]


def resident_weight(layer: nn.Module, like: Tensor) -> AbstractContextManager[Tensor]:
    """The weight of a layer that is where it is needed."""
    return nullcontext(layer.get_parameter("weight"))


def project(x: Tensor, norm: Tensor, qkv: Tensor, factors: Tensor, heads: int) -> Tensor:
    """[3, rows, heads, 1, head width]: query, key and value of a step, turned."""
    normed = F.rms_norm(x, norm.shape, norm, NORM_EPS)
    return rotate(F.linear(normed, qkv).unflatten(-1, (3, heads, -1)), factors).permute(2, 0, 3, 1, 4)


def finish(x: Tensor, attended: Tensor, out: Tensor, norm: Tensor, gate_up: Tensor, down: Tensor) -> None:
    """Add what was attended to, and the MLP, to `x` in place."""
    x += F.linear(attended, out)
    gate, up = F.linear(F.rms_norm(x, norm.shape, norm, NORM_EPS), gate_up).chunk(2, dim=-1)
    x += F.linear(F.silu(gate) * up, down)


@cache
def _compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Both halves, compiled when they first run and then for all songs of the process."""
    log.info("LeLM compiles its step; that takes some seconds, once for a size and a number of takes.")
    first, second = (torch.compile(half, dynamic=False, fullgraph=True) for half in (project, finish))
    return first, second


class FusedBlocks:
    """Runs blocks; see `levo.lelm.model.RunBlock`.

    Blocks whose matrices are not plain, and all where compiling fails, run as they are.
    """

    def __init__(self, borrow: Borrow = resident_weight):
        """Compile nothing yet; `borrow` gives weights."""
        self._borrow = borrow
        self._refused = False

    def __call__(self, block: Block, x: Tensor, shared: Pass, layer: int, store: FixedCache) -> None:
        matrices = (block.qkv, block.out, block.gate_up, block.down)
        if not self._refused and all(isinstance(matrix, nn.Linear) for matrix in matrices):
            try:
                self._run(block, x, shared, layer, store)
                return
            except CompilerError as error:
                log.warning("LeLM runs without compiled steps (%s).", error)
                self._refused = True
        plainly(block, x, shared, layer, store)

    def _run(self, block: Block, x: Tensor, shared: Pass, layer: int, store: FixedCache) -> None:
        with self._weights(x, block.attention_norm, block.qkv) as weights:
            turned = _call(0, x, *weights, shared.factors, block.heads)
        attended = store.attend(layer, turned, block.attend, shared.mask)
        with self._weights(x, block.out, block.mlp_norm, block.gate_up, block.down) as weights:
            _call(1, x, attended, *weights)

    @contextmanager
    def _weights(self, like: Tensor, *layers: nn.Module) -> Iterator[list[Tensor]]:
        with ExitStack() as stack:
            yield [stack.enter_context(self._borrow(layer, like)) for layer in layers]


class CompilerError(RuntimeError):
    """Nothing was computed, because a half could not be compiled; says why in a line."""


def _call(half: int, *arguments: Any) -> Any:
    """Run a compiled half. What it changes in place is as it was where compiling fails."""
    try:
        return _compiled()[half](*arguments)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # compilers, and what they call, raise errors of every kind
        raise CompilerError(first_line(error)) from error
