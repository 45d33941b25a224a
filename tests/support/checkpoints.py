"""Checkpoint files opened for one purpose."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from levo.files.checkpoint import open_checkpoint
from levo.files.released import Layout
from levo.kinds import Kind


def _config(kind: Kind, path: Path) -> Any:
    return open_checkpoint(path).config(kind)


lelm_config = partial(_config, Kind.LELM)
renderer_config = partial(_config, Kind.RENDERER)
vae_config = partial(_config, Kind.VAE)
separator_config = partial(_config, Kind.SEPARATOR)


def load_weights(
    model: nn.Module, path: Path, layout: Layout, device: torch.device | str | None = None
) -> None:
    """Give a model the tensors of a file."""
    open_checkpoint(path).load_into(model, layout, device)
