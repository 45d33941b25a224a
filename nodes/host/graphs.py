"""How LeLM's steps run under ComfyUI: as CUDA graphs or not, with static or dynamic VRAM, compiled or not.

Under dynamic VRAM weights lie in pages that ComfyUI fills when a layer needs them and takes away when
memory runs short; `comfy_aimdo.model_vbar` says whether they are there. Where they do not all fit, ComfyUI
fetches those of a block while the one before it computes, and captures a graph for each block.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import comfy.ops
import torch
from comfy.cli_args import args
from torch import Tensor, nn

from ...levo.config import FRAME_RATE
from ...levo.lelm.compose import Execution
from ...levo.lelm.cuda_graph import Residency, Resident
from ...levo.lelm.fused import FusedBlocks
from ...levo.lelm.model import LeLM, Run, in_turn, plainly
from ..sockets import LoadedLelm
from . import memory

log = logging.getLogger(__name__)

AUTO, ON, OFF = "auto", "on", "off"  # whether steps are compiled
COMPILED_SECONDS = 30  # of a song from which compiling is worth its time
ASYNC = "cudaMallocAsync"  # the allocator that ComfyUI starts torch with on most cards
OLDEST_CARD = (7, 0)  # that Triton, which makes the kernels, runs on


def execution(lelm: LoadedLelm, cuda_graph: bool, frames: int) -> Execution:
    """How to run the steps of a song of `frames` frames with a model that was placed."""
    device, dynamic = lelm.patcher.load_device, memory.is_dynamic(lelm.patcher)
    graph = cuda_graph and memory.is_on_cuda(lelm) and not getattr(args, "disable_cuda_graphs", False)
    block = FusedBlocks(borrowed) if is_compiled(lelm.compile, frames, device, graph) else plainly
    residency: Residency | None
    if dynamic:
        pages = _pages_module() if graph else None
        residency = PagedWeights(lelm.patcher.model, pages) if pages else None
        run = Run(block, prefetching(device, lelm.dtype, graph))
        return Execution(residency, run, lelm.small_cache)
    residency = Resident() if graph and memory.is_resident(lelm) else None
    return Execution(residency, Run(block), lelm.small_cache)


def is_compiled(choice: str, frames: int, device: torch.device, graph: bool) -> bool:
    """Whether to compile steps for a choice made by name; `auto` does so where it is sure to pay."""
    if graph and choice != OFF and torch.cuda.get_allocator_backend() == ASYNC:
        # Its kernels take what is allocated in a capture for memory of the CPU; see `quantised_triton`.
        if choice == ON:
            log.warning(
                "LeLM runs without compiled steps, which CUDA graphs hold only if ComfyUI is started with "
                "--disable-cuda-malloc."
            )
        return False
    if choice != AUTO:
        return choice == ON
    return (
        device.type == "cuda"
        and frames >= COMPILED_SECONDS * FRAME_RATE
        and importlib.util.find_spec("triton") is not None
        and torch.cuda.get_device_capability(device) >= OLDEST_CARD
    )


@contextmanager
def borrowed(layer: nn.Module, like: Tensor) -> Iterator[Tensor]:
    """A layer's weight on the device and in the dtype of `like`, wherever ComfyUI keeps it."""
    weight, bias, stream = comfy.ops.cast_bias_weight(layer, like, offloadable=True)
    try:
        yield weight
    finally:
        comfy.ops.uncast_bias_weight(layer, weight, bias, stream)


class PagedWeights:
    """The weights of LeLM's steps under dynamic VRAM; see `levo.lelm.cuda_graph.Residency`.

    Large weights lie one after the other in the pages of one address range; small ones are tensors on the
    device, which ComfyUI replaces when it loads the model anew.
    """

    def __init__(self, model: LeLM, pages: ModuleType):
        """Look at a model that was placed; `pages` is comfy_aimdo.model_vbar."""
        conditioner = set(model.conditioner.modules())  # which no step reads
        layers: list[Any] = [layer for layer in model.modules() if layer not in conditioner]
        self._pages = pages
        self._paged = [layer for layer in layers if hasattr(layer, "_v")]
        self._small = [
            (layer._parameters, name)
            for layer in layers
            for name, parameter in layer._parameters.items()
            if parameter is not None and not (hasattr(layer, "_v") and name in ("weight", "bias"))
        ]
        self._range = _spanned([layer._v for layer in self._paged])
        self._last: Hashable = None  # answer
        self._seen: list[list[Tensor]] = []  # so that an id is not given twice
        self.away = 0  # how often the answer was that not all is there

    def hold(self) -> Hashable | None:
        signature = self._pages.vbar_fault(self._range) if self._range else b""
        if signature is not None:
            answer = bytes(signature), *(id(parameters[name]) for parameters, name in self._small)
            if answer == self._last or self._is_filled():
                if answer != self._last:
                    self._seen.append([parameters[name] for parameters, name in self._small])
                self._last = answer
                return answer
            self.release()
        self.away += 1
        return None

    def release(self) -> None:
        if self._range:
            self._pages.vbar_unpin(self._range)

    def _is_filled(self) -> bool:
        """Whether every layer's weights are in the pages that it has now."""
        return all(self._has_weights(layer) for layer in self._paged)

    def _has_weights(self, layer: Any) -> bool:
        signature = self._pages.vbar_fault(layer._v)
        if signature is None:
            return False
        self._pages.vbar_unpin(layer._v)
        return self._pages.vbar_signature_compare(signature, layer._v_signature)


def _spanned(places: Sequence[tuple[Any, int, int]]) -> tuple[Any, int, int] | None:
    """The range (pages, address, bytes) from the first to the last of ranges in the same pages."""
    if not places:
        return None
    first, end = min(at for _, at, _ in places), max(at + size for _, at, size in places)
    return places[0][0], first, end - first


def _pages_module() -> ModuleType | None:
    """comfy_aimdo.model_vbar as it is known here; None where ComfyUI has another one or none."""
    try:
        from comfy_aimdo import model_vbar
    except ImportError:
        return None
    needed = ("vbar_fault", "vbar_unpin", "vbar_signature_compare")
    return model_vbar if all(hasattr(model_vbar, name) for name in needed) else None


def prefetching(
    device: torch.device, dtype: torch.dtype, graph: bool
) -> Callable[[nn.ModuleList, Callable[[int], None], int], None]:
    """What runs blocks while ComfyUI fetches the weights of the next; see `levo.lelm.model.Run`.

    Args:
        device: where blocks are computed.
        dtype: of their activations.
        graph: capture a graph for each block whose weights stay on the device.
    """
    try:
        import comfy.model_prefetch as prefetch
    except ImportError:
        return in_turn
    if not {"core", "enable_graph"} <= inspect.signature(prefetch.prefetch_queue_pop).parameters.keys():
        return in_turn
    captured = None  # the span of the caches that graphs were captured with

    def run(blocks: nn.ModuleList, run_block: Callable[[int], None], span: int) -> None:
        nonlocal captured
        if span != captured:
            prefetch.cleanup_prefetch_queues()  # drops the graphs, which would go on with the old span
            captured = span
        queue = prefetch.make_prefetch_queue(list(blocks), device, {"prefetch_dynamic_vbars": True})
        for layer, block in enumerate(blocks):
            core = partial(run_block, layer)
            prefetch.prefetch_queue_pop(queue, device, block, dtype, core=core, enable_graph=graph)
        if queue is not None:
            prefetch.prefetch_queue_pop(queue, device, None)

    return run
