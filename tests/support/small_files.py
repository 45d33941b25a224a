"""What the weights of small files of any format become: as the files are loaded, and as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from levo.files import released
from levo.files.checkpoint import open_checkpoint
from support.gguf_models import Written
from support.mlx_models import WrittenMlx


def loaded(
    file: Written | WrittenMlx, dtype: torch.dtype, operations: Any = nn, path: Path | None = None
) -> dict[str, Tensor]:
    """Weights of a model that is loaded from the file, or from a copy at `path`."""
    model = file.model(device="meta", dtype=dtype, operations=operations)
    open_checkpoint(path or file.path).load_into(model, file.layout, "cpu")
    return model.state_dict()


def expected(
    file: Written | WrittenMlx, dtype: torch.dtype, tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Weights of a model that is loaded from these tensors in a released file."""
    model = file.model(device="meta", dtype=dtype)
    released.load(model, lambda: tensors, file.layout, "cpu")
    return model.state_dict()
