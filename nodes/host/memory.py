"""Devices, patchers and room on them, by ComfyUI's model management; what nodes say where RAM runs out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import torch
from comfy_api.latest import io
from torch import nn

from ...levo.memory import MARGIN, ran_out_of_ram, requested_bytes
from ..sockets import LoadedModel

log = logging.getLogger(__name__)

T = TypeVar("T")

OTHERS = "close other programs"
SMALLER = {  # what to do about a model that does not fit
    "LeLM": "compose a shorter song (max_seconds) or fewer takes, choose int8 or a smaller checkpoint in "
    f"LeVo Load LeLM, or {OTHERS}",
    "Renderer": f"render fewer takes at once or with guidance 1, or {OTHERS}",
}
SMALLER_FILES = f"choose a smaller number format or checkpoint, or {OTHERS}"
SMALLER_RUNS = {  # what to do about a node that runs out of RAM
    "LeVoCompose": SMALLER["LeLM"],
    "LeVoContinueSong": SMALLER["LeLM"],
    "LeVoSong": SMALLER["LeLM"],
    "LeVoRender": SMALLER["Renderer"],
    "LeVoRenderStems": SMALLER["Renderer"],
    "LeVoDecode": f"decode fewer takes at once, or {OTHERS}",
    "LeVoDecodeStems": f"decode fewer takes at once, or {OTHERS}",
    "LeVoSplitVocals": f"split a shorter recording, or {OTHERS}",
    "LeVoStyleFromAudio": f"give a shorter recording, or {OTHERS}",
    "LeVoFinishSong": f"finish fewer takes at once, or {OTHERS}",
    "LeVoLoadLeLM": SMALLER_FILES,
    "LeVoLoadRenderer": SMALLER_FILES,
    "LeVoLoadVAE": SMALLER_FILES,
}


class OutOfRam(RuntimeError):
    """RAM ran out; says in one sentence where, and what to do."""


def managed(model: nn.Module, vae: bool = False) -> Any:
    """Hand a model with its weights to ComfyUI's memory manager."""
    # What pages weights in later casts them to the dtypes that they have now.
    getattr(mm, "archive_model_dtypes", lambda model: None)(model)
    load = mm.vae_device() if vae else mm.get_torch_device()
    # Looked up now: ComfyUI replaces the class when it manages memory dynamically.
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return patcher(model, load_device=load, offload_device=offload_device(vae))


def offload_device(vae: bool = False) -> torch.device:
    """Where a model is built."""
    return mm.vae_offload_device() if vae else mm.unet_offload_device()


def load_on_device(model: LoadedModel, memory: int, whole: bool = False) -> torch.device:
    """Bring a model to its device, making room for `memory` bytes and MARGIN beside it.

    Args:
        model: from a socket.
        memory: bytes that the run needs beside the weights, as computed.
        whole: never stream weights; for models that are small.

    Returns:
        The device to run on.
    """
    patcher, memory = model.patcher, round(memory * MARGIN)
    mm.load_models_gpu([patcher], memory_required=memory, force_full_load=whole)
    missing = patcher.model_size() - patcher.loaded_size()
    if missing > 0 and not is_dynamic(patcher):
        name = type(patcher.model).__name__
        log.warning(
            "%s does not fit the GPU: %.0f MB of its %.0f MB stream from RAM at every step, as %.0f MB are "
            "needed beside them; %s.",
            name,
            missing / 1e6,
            patcher.model_size() / 1e6,
            memory / 1e6,
            SMALLER.get(name, OTHERS),
        )
    return patcher.load_device


def load_together(models: Sequence[LoadedModel], memory: int) -> bool:
    """Bring models of one device there side by side, if all fit with `memory` bytes and MARGIN beside them.

    Returns:
        Whether they do; if not, each is to be placed when its turn comes.
    """
    patchers, memory = [model.patcher for model in models], round(memory * MARGIN)
    device = patchers[0].load_device
    if not mm.is_device_cpu(device):  # there weights take no more room than they do already
        # What ComfyUI leaves free beside weights, and with which it lets others go for them.
        kept_free = max(memory + mm.extra_reserved_memory(), mm.minimum_inference_memory())
        needed = 1.1 * sum(patcher.model_size() for patcher in patchers) + kept_free
        theirs = [
            other for other in mm.loaded_models() if other is not None and other.load_device == device
        ]
        if needed > mm.get_free_memory(device) + sum(other.loaded_size() for other in theirs):
            return False
    mm.load_models_gpu(patchers, memory_required=memory)
    return all(is_resident(model) or is_dynamic(model.patcher) for model in models)


def is_resident(model: LoadedModel) -> bool:
    """Whether all weights lie where they are computed with, now and during the run."""
    patcher = model.patcher
    return patcher.loaded_size() >= patcher.model_size() and not is_dynamic(patcher)


def is_on_cuda(model: LoadedModel) -> bool:
    """Whether a model computes on a CUDA device."""
    return model.patcher.load_device.type == "cuda"


def is_dynamic(patcher: Any) -> bool:
    """Whether ComfyUI brings weights only when they are used."""
    return getattr(patcher, "is_dynamic", lambda: False)()


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    return int(mm.get_free_memory(device))


def retry_smaller_on_oom(work: Callable[[int], T], size: int, least: int) -> T:
    """What `work(size)` gives; where memory runs out, what it gives with half the size, and so on.

    Args:
        work: called anew for each size.
        size: to begin with.
        least: with this, running out of memory is the end.
    """
    while True:
        try:
            return work(size)
        except mm.InterruptProcessingException:  # on some builds running out of memory is any Exception
            raise
        except Exception as error:
            if size <= least or not (isinstance(error, mm.OOM_EXCEPTION) or ran_out_of_ram(error)):
                raise
        # Out of the `except`, as the error holds all that the work held.
        size = max(least, size // 2)
        log.warning("Memory ran out; trying again with pieces of %d frames.", size)
        mm.soft_empty_cache()


def explaining_out_of_ram(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same node, which says what to do where RAM runs out; on cards ComfyUI does."""
    execute = node.execute.__func__

    @functools.wraps(execute)
    def guarded(cls: type[io.ComfyNode], *args: Any, **kwargs: Any) -> io.NodeOutput:
        try:
            return execute(cls, *args, **kwargs)
        except Exception as error:
            if isinstance(error, OutOfRam) or not ran_out_of_ram(error):
                raise
            # ComfyUI locks the class that it runs, so that its schema cannot be made anew.
            raise OutOfRam(_out_of_ram(cls.SCHEMA or node.define_schema(), error)) from error

    node.execute = classmethod(guarded)
    return node


def _out_of_ram(schema: io.Schema, error: Exception) -> str:
    requested = requested_bytes(error)
    more = f" ({requested / 1e6:,.0f} MB more were asked for)" if requested else ""
    return f"{schema.display_name} ran out of RAM{more}; {SMALLER_RUNS.get(schema.node_id, OTHERS)}."
