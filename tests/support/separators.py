"""Files of HTDemucs at the tiny size, in all forms in which the real one is published."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from levo import tiny
from levo.config import SeparatorConfig
from levo.separator.model import arguments, build

PLAIN, PACKAGE, SAFE = "htdemucs.pth", "955717e8-8726e21a.th", "htdemucs.safetensors"
SEGMENT = {"_type": "fraction", "numerator": 2, "denominator": 1}  # as demucs-infer writes it


def separator(config: SeparatorConfig = tiny.SEPARATOR) -> nn.Module:
    """HTDemucs with the weights of the tiny set."""
    model = build(config)
    tiny.init_weights(model)
    return model


@cache
def _tensors() -> dict[str, torch.Tensor]:
    return separator().state_dict()


def tensors() -> dict[str, torch.Tensor]:
    """What the files hold; the dict is the caller's own."""
    return dict(_tensors())


def write_plain(path: Path, **changes: torch.Tensor) -> Path:
    """The form of SongGeneration: tensors alone."""
    torch.save({**tensors(), **changes}, path)
    return path


def write_package(
    path: Path, klass: str = "demucs.htdemucs.HTDemucs", first: tuple = (), **changes: Any
) -> Path:
    """Meta's form: the class by its name, its arguments, halves, and how it was trained."""
    kwargs = arguments(tiny.SEPARATOR) | {"t_dropout": 0.02, "rescale": 0.1} | changes
    package = {
        "klass": klass,
        "args": first,
        "kwargs": kwargs,
        "state": {name: tensor.half() for name, tensor in tensors().items()},
        "training_args": {"seed": 42, "best": np.float64(9.0)},
    }
    save_naming(path, package, klass)
    return path


def save_naming(path: Path, package: dict[str, Any], klass: str) -> None:
    """Save a package whose class is known by a name of ours alone while it is written."""
    module, _, name = klass.rpartition(".")
    package["klass"] = type(name, (), {"__module__": module})
    holder = ModuleType(module)
    setattr(holder, name, package["klass"])
    with pytest.MonkeyPatch.context() as patch:
        parent = module.partition(".")[0]
        patch.setitem(sys.modules, parent, ModuleType(parent))
        patch.setitem(sys.modules, module, holder)
        torch.save(package, path)


def write_safe(path: Path, klass: str = "demucs.htdemucs.HTDemucs", **changes: Any) -> Path:
    """The form of demucs-infer: the arguments as JSON."""
    kwargs = arguments(tiny.SEPARATOR) | {"segment": SEGMENT} | changes
    metadata = {"klass": klass, "args": "[]", "kwargs": json.dumps(kwargs)}
    save_file(tensors(), path, metadata)
    return path


WRITERS = {PLAIN: write_plain, PACKAGE: write_package, SAFE: write_safe}
SEGMENTS = {PLAIN: Fraction(39, 5), PACKAGE: Fraction(2), SAFE: Fraction(2)}  # as the files say
