"""Released tensors of any size, made from their names: what a checkpoint of that size would hold."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from levo.files.released import Layout, Source, layout

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def _weights():
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


values = _weights().values


def named(name: str, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """The golden folder's values for a name, as a tensor."""
    return torch.from_numpy(values(name, shape, seed))


def released_shapes(source: Source, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes of the released tensors behind one of ours of `shape`."""
    parts = len(source.names)
    special = {
        layout.fold_weight_norm: [(shape[0], *(1 for _ in shape[1:])), shape],
        layout.folded_matrix: [(shape[0], 1, 1), (*shape, 1)],
        layout.folded_kernel: [shape, shape[:1], shape[:1]],
        layout.folded_bias: [shape] * parts,
        layout.squeeze_kernel: [(*shape, 1)],
        layout.as_row: [shape[1:]],
        layout.transpose: [shape[::-1]],
        layout.latent_statistics: [(1,), shape[1:], shape[1:]],
    }
    return special.get(source.build) or [(shape[0] // parts, *shape[1:])] * parts


def released_tensors(
    model: nn.Module, layout: Layout, make: Callable[[str, tuple[int, ...]], Tensor] = named
):
    """Released name -> tensor for everything that `model` needs."""
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    return {
        name: make(name, shape)
        for ours, source in layout.sources.items()
        for name, shape in zip(source.names, released_shapes(source, shapes[ours]), strict=True)
    }
