"""From a path to a model's weights: those of a file, or random ones where there is none.

Knows no precision and nothing of who looks after a model's memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import tiny
from ..kinds import MODELS, Kind
from . import released
from .checkpoint import CheckpointFile, fitting_config, open_checkpoint
from .damage import display_name
from .tensor_file import CheckpointError


def open_file(kind: Kind, path: Path | None) -> tuple[CheckpointFile | None, Any]:
    """A checkpoint file and its config; None and the config of the tiny model without a path.

    Raises:
        CheckpointError: the file cannot be read, or holds another kind of model.
    """
    if path is None:
        return None, MODELS[kind].tiny
    file = open_checkpoint(path)
    return file, fitting_config(file, kind)


def load_weights(
    model: nn.Module, file: CheckpointFile | None, layout: released.Layout, device: torch.device | str
) -> None:
    """Give a model the tensors of its file, or random ones where there is none.

    Raises:
        CheckpointError: the file does not hold the model; says which file.
    """
    if file is None:
        tiny.init_weights(model, device)
        return
    try:
        file.load_into(model, layout, device)
    except CheckpointError as error:
        raise CheckpointError(f"{display_name(file.path)}: {error}") from error
