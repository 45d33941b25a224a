"""Tensors of a model, set and read by their names, whatever form its layers keep them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeGuard

import torch
from torch import Tensor, nn

from .fbgemm import PackedLinear
from .quantised import QuantisedLinear


def declare(model: nn.Module, expected: Mapping[str, Tensor]) -> None:
    """Give layers that were built without their tensors the shapes and dtypes of those, without numbers.

    ComfyUI builds layers so where it manages memory dynamically. Afterwards the state dict of the model
    names all that it needs, as that of a model of torch's own layers does.

    Args:
        model: to be loaded by `assign`.
        expected: name -> tensor on the meta device, of a model that its config alone decides.
    """
    for name, tensor in expected.items():
        layer, leaf = _owner(model, name)
        if getattr(layer, leaf) is None:
            setattr(layer, leaf, nn.Parameter(tensor, requires_grad=False))


def assign(
    model: nn.Module, values: Iterable[tuple[str, Tensor]], device: torch.device | str | None = None
) -> None:
    """Give a model its tensors in place of those that it has; they are rounded where its layers want that.

    Args:
        model: of any layers; may be on the meta device.
        values: name in its state dict -> tensor of that shape, of any dtype. Matrices that the model stores
            in few bits may be given as floats; their scales then follow from them and are not given. What
            has the right dtype is not copied.
        device: where the tensors go; None for where the model has them now.

    Raises:
        RuntimeError: a name is missing or unknown, or a shape is wrong.
    """
    expected = model.state_dict()
    state: dict[str, Tensor] = {}
    followed: set[str] = set()  # names that no tensor stands for, or whose numbers follow from others
    for name, value in values:
        layer, leaf = _owner(model, name)
        scale = f"{name.removesuffix('weight')}scale"
        if _is_matrix(layer, leaf):
            layer.pack(value)
            followed |= {name, scale} if value.is_floating_point() else {name}
        elif leaf == "weight" and isinstance(layer, QuantisedLinear) and value.is_floating_point():
            numbers = layer.quantise(value)
            state |= {n: _fit(t, expected[n], device) for n, t in zip((name, scale), numbers, strict=True)}
        else:
            state[name] = _fit(value, expected[name], device)
    missing, unknown = model.load_state_dict(state, strict=False, assign=True)
    if unknown or not followed.issuperset(missing):
        raise RuntimeError(f"Tensors do not fit the model: missing {missing}, unknown {unknown}.")


def _fit(value: Tensor, expected: Tensor, device: torch.device | str | None) -> Tensor:
    return value.to(device or expected.device, expected.dtype)


def value(model: nn.Module, name: str) -> Tensor:
    """One tensor; of packed weights a copy."""
    layer, leaf = _owner(model, name)
    if _is_matrix(layer, leaf):
        return layer.matrix()
    return model.get_parameter(name).detach()


def is_packed(model: nn.Module, name: str) -> bool:
    """Whether a tensor of the state dict has no numbers, because its layer keeps them in another order."""
    return _is_matrix(*_owner(model, name))


def shape_of(model: nn.Module, name: str, tensor: Tensor) -> torch.Size:
    """Shape that a tensor must have to become the one of this name in the state dict of a model.

    Matrices that a model stores in few bits may be given as floats, which have one number a weight.
    """
    layer, leaf = _owner(model, name)
    if leaf == "weight" and isinstance(layer, QuantisedLinear) and tensor.is_floating_point():
        return layer.shape
    return model.get_parameter(name).shape


def _is_matrix(layer: nn.Module, leaf: str) -> TypeGuard[PackedLinear]:
    """Whether a layer's tensor of this name is the matrix that it keeps packed."""
    return leaf == "weight" and isinstance(layer, PackedLinear)


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    owner, _, leaf = name.rpartition(".")
    return model.get_submodule(owner), leaf
