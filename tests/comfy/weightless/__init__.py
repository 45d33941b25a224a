"""A pack that makes ComfyUI build layers as it does under dynamic VRAM: without their weights.

From ComfyUI 0.16 on that is ComfyUI's own doing, which only has to be asked for; an older one gets layers
here that behave alike. Everything still runs on the CPU.
"""

from __future__ import annotations

import comfy.ops
import torch
from torch import nn

NODE_CLASS_MAPPINGS: dict[str, type] = {}

try:
    import comfy.memory_management as memory_management
except ImportError:
    memory_management = None


class AssignedLater:
    """A layer whose tensors come with its state dict, and are taken as they are."""

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing, unexpected, errors
    ):
        for name, tensor in state_dict.items():
            setattr(self, name.removeprefix(prefix), nn.Parameter(tensor, requires_grad=False))
        if self.weight is None or self.weight.is_meta:
            missing.append(f"{prefix}weight")


class Linear(AssignedLater, comfy.ops.disable_weight_init.Linear):
    """Without a weight."""

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.weight = self.bias = None


class Embedding(AssignedLater, comfy.ops.disable_weight_init.Embedding):
    """With a weight on the meta device."""

    def __init__(self, num_embeddings, embedding_dim, device=None, dtype=None):
        super().__init__(num_embeddings, embedding_dim, device="meta", dtype=dtype)


def replace_layers() -> None:
    """Put the layers in the place of ComfyUI's."""
    for layer in (Linear, Embedding):
        setattr(comfy.ops.disable_weight_init, layer.__name__, layer)
        casting = type(layer.__name__, (layer,), {"comfy_cast_weights": True})
        setattr(comfy.ops.manual_cast, layer.__name__, casting)


if hasattr(memory_management, "aimdo_enabled"):
    memory_management.aimdo_enabled = True
else:
    replace_layers()
if comfy.ops.manual_cast.Linear(2, 2, dtype=torch.float32).weight is not None:
    raise RuntimeError("ComfyUI's layers have weights from the start.")
