"""What models are built of: layer classes that ComfyUI, or torch.nn, gives."""

from __future__ import annotations

from typing import Any, Protocol

import torch

Device = torch.device | str | None


class Operations(Protocol):
    """A module or class of layers with torch.nn's names and arguments, `device` and `dtype` among them.

    Each model uses some. `comfy.ops.disable_weight_init`, `levo.layers.quantised.operations(...)` and
    torch.nn are such.
    """

    Linear: Any
    Embedding: Any
    LayerNorm: Any
    RMSNorm: Any
    Conv1d: Any
    Conv2d: Any
    ConvTranspose1d: Any
