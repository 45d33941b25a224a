"""Devices, dtypes, memory, progress and Cancel: the only file that knows ComfyUI's model management."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from comfy.ldm.modules.attention import optimized_attention
from server import PromptServer
from torch import Tensor, nn

from ..levo import fp8, int8, packed
from ..levo.attention import Attention, CacheMask, Flash, by_products, flash_package, flash_refusal
from .sockets import LoadedModel

log = logging.getLogger(__name__)

T = TypeVar("T")

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO, INT8, FP8 = "auto", "int8", "fp8_e4m3fn"
SDPA, FLASH = "sdpa", "flash_attn"
UPDATE_SECONDS = 0.1
OTHERS = "close other programs"
SMALLER = {  # what to do about a model that does not fit
    "LeLM": "compose a shorter song (max_seconds) or fewer takes, choose int8 or a smaller checkpoint in "
    f"LeVo Load LeLM, or {OTHERS}",
    "Renderer": f"render fewer takes at once or with guidance 1, or {OTHERS}",
}


@dataclass(frozen=True)
class Precision:
    """How a model stores its weights and computes: decided by its loader, once."""

    dtype: torch.dtype  # of activations, and of weights that are not stored smaller
    operations: Any  # ComfyUI's layer classes
    plain: Any  # torch's, which store the same: their tensors are those that the model needs
    attention: Attention


def lelm_precision(choice: str, attention: str, head_width: int) -> Precision:
    """How LeLM computes, for choices made by name.

    Raises:
        ValueError: flash-attn was chosen and cannot be used.
    """
    dtype, on_cpu = _lelm_dtype(choice), _is_packed(choice)

    def layers(base: Any, int8_linear: type[int8.Int8Linear]) -> Any:
        if choice == FP8:  # as with int8, the bridge stays
            return fp8.operations(base, biased=False)
        if on_cpu:
            base, int8_linear = packed.operations(base), packed.PackedInt8Linear
        return int8.operations(base, int8_linear) if choice == INT8 else base

    own = _casting_operations(dtype) if choice == FP8 else _operations_for(dtype)
    attend = _lelm_attention(attention, dtype, head_width, by_products if on_cpu else torch_attention)
    return Precision(dtype, layers(own, Int8Linear), layers(nn, int8.Int8Linear), attend)


def renderer_precision(choice: str, attention: str, head_width: int) -> Precision:
    """How the renderer computes, for choices made by name.

    Raises:
        ValueError: flash-attn was chosen and cannot be used.
    """
    dtype = _renderer_dtype(choice)
    attend = _flow_attention(attention, dtype, head_width)
    if choice != FP8:
        return Precision(dtype, _operations_for(dtype), nn, attend)
    own, plain = (fp8.operations(base, biased=True) for base in (_casting_operations(dtype), nn))
    return Precision(dtype, own, plain, attend)


def audio_precision(choice: str = AUTO) -> Precision:
    """How VAE and style encoder compute, for a dtype chosen by name."""
    dtype = DTYPES.get(choice, torch.float32)  # rounding garbles waveforms
    return Precision(dtype, _operations_for(dtype), nn, comfy_attention)


def _lelm_dtype(choice: str) -> torch.dtype:
    """Where none is named what is fast; fp32 for matrices that a CPU packs."""
    return torch.float32 if _is_packed(choice) else DTYPES.get(choice) or _fast_dtype()


def _renderer_dtype(choice: str) -> torch.dtype:
    """Where none is named what is fast on CUDA, and else fp32."""
    on_cuda = mm.get_torch_device().type == "cuda"
    return DTYPES.get(choice) or (_fast_dtype() if on_cuda else torch.float32)


def _fast_dtype() -> torch.dtype:
    """fp16, as published, which rounds an eighth of what bf16 does; where it is slow bf16, else fp32."""
    device = mm.get_torch_device()
    if mm.should_use_fp16(device):
        return torch.float16
    return torch.bfloat16 if mm.should_use_bf16(device) else torch.float32


def _operations_for(dtype: torch.dtype) -> type:
    """ComfyUI's layer classes for weights stored and computed in `dtype`."""
    return comfy.ops.pick_operations(dtype, dtype, load_device=mm.get_torch_device())


class Int8Linear(int8.Int8Linear, comfy.ops.CastWeightBiasOp):
    """An int8 layer that ComfyUI can leave behind: its bytes are moved as they are, call by call."""

    bias = None  # ComfyUI looks for it in every layer that it casts

    def forward(self, x: Tensor) -> Tensor:
        comfy.ops.run_every_op()
        if not self.comfy_cast_weights:
            return super().forward(x)
        # By default the weights would be cast to the dtype of x, and lose their scale.
        weight, _, stream = comfy.ops.cast_bias_weight(
            self, dtype=self.weight.dtype, device=x.device, offloadable=True
        )
        y = int8.product(x, weight, mm.cast_to_device(self.scale, x.device, self.scale.dtype))
        comfy.ops.uncast_bias_weight(self, weight, None, stream)
        return y


def _is_packed(choice: str) -> bool:
    """Whether LeLM runs on a CPU with small matrices and fp32 activations: what is fast there."""
    return choice in (AUTO, "fp16", INT8) and mm.is_device_cpu(mm.get_torch_device()) and packed.is_there()


def _casting_operations(dtype: torch.dtype) -> type:
    # Multiplying in fp8, which ComfyUI can be started with, rounds activations too.
    return comfy.ops.pick_operations(fp8.FP8, dtype, mm.get_torch_device(), disable_fast_fp8=True)


def torch_attention(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
) -> Tensor:
    """Torch's fused kernels by ComfyUI's priorities. See `levo.attention`."""
    scores = None if mask is None else mask.scores
    out = comfy.ops.scaled_dot_product_attention(query, key, value, attn_mask=scores, is_causal=causal)
    return out.transpose(1, 2).flatten(2)


def comfy_attention(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None = None
) -> Tensor:
    """Whatever ComfyUI was started with, without quantised kernels; everything is visible."""
    return optimized_attention(
        query, key, value, query.shape[1], skip_reshape=True, low_precision_attention=False
    )


def _lelm_attention(choice: str, dtype: torch.dtype, head_width: int, own: Attention) -> Attention:
    """For the choice made by name; `auto` takes flash-attn where it is there and fits, else `own`."""
    if choice == FLASH:
        return _flash(dtype, head_width)
    if choice == SDPA:
        return torch_attention
    package = flash_package()
    return Flash(package, own) if package else own


def _flow_attention(choice: str, dtype: torch.dtype, head_width: int) -> Attention:
    """For the choice made by name; `auto` takes ComfyUI's own."""
    if choice == FLASH:
        return _flash(dtype, head_width)
    return comfy_attention if choice == AUTO else torch_attention


def _flash(dtype: torch.dtype, head_width: int) -> Attention:
    package = flash_package()
    if package is None:
        refusal = "no package flash-attn that works is installed"
    else:
        refusal = flash_refusal(mm.get_torch_device(), dtype, head_width)
    if refusal:
        raise ValueError(f"flash_attn cannot be used here: {refusal}; set attention to auto or sdpa.")
    return Flash(package)


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


def place(model: LoadedModel, memory: int, whole: bool = False) -> torch.device:
    """Bring a model to its device, making room for `memory` bytes beside it.

    Args:
        model: from a socket.
        memory: bytes that the run needs beside the weights.
        whole: never stream weights; for models that are small.

    Returns:
        The device to run on.
    """
    patcher = model.patcher
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


def place_together(models: Sequence[LoadedModel], memory: int) -> bool:
    """Bring models of one device there side by side, if all fit with `memory` bytes beside them.

    Returns:
        Whether they do; if not, each is to be placed when its turn comes.
    """
    patchers = [model.patcher for model in models]
    device = patchers[0].load_device
    if not mm.is_device_cpu(device):  # there weights take no more room than they do already
        # What ComfyUI leaves free beside weights, and with which it lets others go for them.
        beside = max(memory + mm.extra_reserved_memory(), mm.minimum_inference_memory())
        needed = 1.1 * sum(patcher.model_size() for patcher in patchers) + beside
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


def is_dynamic(patcher: Any) -> bool:
    """Whether ComfyUI brings weights only when they are used."""
    return getattr(patcher, "is_dynamic", lambda: False)()


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    return int(mm.get_free_memory(device))


def fitting(work: Callable[[int], T], size: int, least: int) -> T:
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
        except mm.OOM_EXCEPTION:
            if size <= least:
                raise
        # Out of the `except`, as the error holds all that the work held.
        size = max(least, size // 2)
        log.warning("Memory ran out; trying again with pieces of %d frames.", size)
        mm.soft_empty_cache()


def progress() -> Callable[[int, int], None]:
    """A callback for long loops: moves the node's progress bar and obeys Cancel at every step."""
    bar, last = None, 0.0

    def on_step(done: int, total: int) -> None:
        nonlocal bar, last
        mm.throw_exception_if_processing_interrupted()
        now = time.monotonic()
        if now - last < UPDATE_SECONDS and done < total:
            return
        bar, last = bar or comfy.utils.ProgressBar(total), now
        bar.update_absolute(done, total)

    return on_step


def obey_cancel() -> None:
    """Stop here if Cancel was pressed; for loops that no progress bar goes over."""
    mm.throw_exception_if_processing_interrupted()


def is_watched() -> bool:
    """Whether an editor, or another client that gave its name, queued what runs now."""
    server = getattr(PromptServer, "instance", None)
    return server is not None and server.client_id is not None


def send(event: str, data: dict[str, Any]) -> None:
    """Send an event of ours, with the run it is of, to who queued what runs now; see `is_watched`."""
    server = PromptServer.instance
    server.send_sync(event, {**data, "prompt_id": server.last_prompt_id}, server.client_id)


def tell(node_id: str | None, text: str) -> None:
    """Show a line of text on the node and write it to the log."""
    log.warning(text)
    show(node_id, text)


def show(node_id: str | None, text: str) -> None:
    """Show lines of text on the node."""
    if node_id is not None and PromptServer.instance is not None:  # the editor takes it for HTML
        PromptServer.instance.send_progress_text(escape(text, quote=False), node_id)
