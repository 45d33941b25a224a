"""Tensors of a model's state dict one at a time, whatever form its layers keep them in."""

from __future__ import annotations

from torch import Tensor, nn

from .int8 import Int8Linear
from .packed import HalfLinear, PackedInt8Linear


def fill(model: nn.Module, name: str, value: Tensor) -> None:
    """Set one tensor; weights are rounded and packed on the way where their layer wants that.

    Args:
        model: whose parameter is overwritten.
        name: in its state dict.
        value: of the parameter's shape, of any dtype.
    """
    layer, leaf = _owner(model, name)
    if leaf == "weight" and isinstance(layer, Int8Linear | HalfLinear):
        layer.take(value)
    else:
        getattr(layer, leaf).data.copy_(value)


def value(model: nn.Module, name: str) -> Tensor:
    """One tensor; of packed weights a copy."""
    layer, _ = _owner(model, name)
    return layer.matrix() if is_packed(model, name) else model.get_parameter(name).detach()


def is_packed(model: nn.Module, name: str) -> bool:
    """Whether a tensor of the state dict has no numbers, because its layer keeps them in another order."""
    layer, leaf = _owner(model, name)
    return leaf == "weight" and isinstance(layer, HalfLinear | PackedInt8Linear)


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    owner, _, leaf = name.rpartition(".")
    return model.get_submodule(owner), leaf
