"""What the weights of small files of any format become: as the files are loaded, and as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from levo.files import released
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.kinds import Kind
from levo.layers import int8, quantised
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


def assert_loaded_as_floats(file: Written) -> None:
    """A model has the config of its file, and the floats that the file's numbers stand for."""
    assert fitting_config(open_checkpoint(file.path), file.kind) == file.model.args[0]
    ours, right = loaded(file, torch.float32), expected(file, torch.float32, file.floats)
    assert ours.keys() == right.keys()
    folded = file.kind != Kind.LELM  # by sums of another order
    for name in right:
        torch.testing.assert_close(
            ours[name], right[name], rtol=1e-5 if folded else 0, atol=1e-7 if folded else 0
        )


def assert_near(file: Written, error: float) -> None:
    """A model's weights are as near as that to what the file was made of, as a part of the largest."""
    ours, right = loaded(file, torch.float32), expected(file, torch.float32, file.originals)
    for name in right:
        away = (ours[name] - right[name]).abs().max() / right[name].abs().max()
        assert away <= error + 1e-6, name


def assert_layers_round_floats(file: Written, layer: type[nn.Module]) -> None:
    """Layers in few bits have what they make of the floats that the file's numbers stand for."""
    operations = quantised.operations(nn, layer, int8.Int8Embedding)
    ours = loaded(file, torch.float32, operations)
    model = file.model(device="meta", operations=operations)
    released.load(model, lambda: file.floats, file.layout, "cpu")
    for name, right in model.state_dict().items():
        assert torch.equal(ours[name], right)
