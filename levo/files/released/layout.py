"""How one kind of released file maps to one of our models: which tensors, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...kinds import Kind

BATCH_NORM_EPS = 1e-5
FLOATS = frozenset((torch.float32, torch.float16, torch.bfloat16))


def unchanged(tensor: Tensor) -> Tensor:
    """A tensor that is stored as our models have it."""
    return tensor


@dataclass(frozen=True)
class Source:
    """Where one tensor of ours comes from."""

    names: tuple[str, ...]  # released names
    build: Callable[..., Tensor] = unchanged


@dataclass(frozen=True)
class Layout:
    """How one kind of released file maps to one of our models."""

    kind: Kind
    sources: dict[str, Source]  # our name -> released tensors
    unused: tuple[str, ...]  # patterns of released names that the model does not need
    dtypes: frozenset[torch.dtype] = FLOATS  # that a tensor which is needed may have


def fold_weight_norm(gain: Tensor, direction: Tensor) -> Tensor:
    """Weight of a weight-normalised layer (arXiv:1602.07868), normed over all but the first dimension.

    Rows whose direction is all zero are zero.
    """
    norm = torch.linalg.vector_norm(direction.float(), dim=tuple(range(1, direction.ndim)), keepdim=True)
    if gain.shape != norm.shape:  # broadcasting would hide it
        raise RuntimeError(f"A gain of {list(gain.shape)} does not fit a weight of {list(direction.shape)}")
    return gain.float() * direction.float() / norm.clamp(min=torch.finfo(torch.float32).tiny)


def latent_statistics(counts: Tensor, sum_x: Tensor, sum_x2: Tensor) -> Tensor:
    """Rows [mean, deviation] of the latents from running sums; too few samples mean no normalisation."""
    counts, sum_x, sum_x2 = counts.float(), sum_x.float(), sum_x2.float()
    mean = sum_x / counts
    statistics = torch.stack((mean, (sum_x2 / counts - mean**2).clamp(min=0).sqrt()))
    none = torch.stack((torch.zeros_like(sum_x), torch.ones_like(sum_x)))
    return torch.where(counts < 10, none, statistics)


def batch_norm_scale(gain: Tensor, variance: Tensor) -> Tensor:
    """What batch norm (arXiv:1502.03167) multiplies a channel with once it has stopped learning."""
    return gain.float() / (variance.float() + BATCH_NORM_EPS).sqrt()


def folded_kernel(kernel: Tensor, gain: Tensor, variance: Tensor) -> Tensor:
    """Kernel of a convolution that does the work of the batch norm after it."""
    _require_channels(len(kernel), gain, variance)
    return kernel.float() * batch_norm_scale(gain, variance).view(-1, *(1 for _ in kernel.shape[1:]))


def folded_bias(gain: Tensor, variance: Tensor, shift: Tensor, mean: Tensor, *bias: Tensor) -> Tensor:
    """Bias of the same convolution, which may have had one of its own."""
    _require_channels(len(gain), variance, shift, mean, *bias)
    own_bias = bias[0].float() if bias else 0
    return shift.float() + (own_bias - mean.float()) * batch_norm_scale(gain, variance)


def _require_channels(count: int, *parts: Tensor) -> None:
    if any(part.shape != (count,) for part in parts):  # broadcasting would hide it
        raise RuntimeError(f"A batch norm does not fit a convolution of {count} channels")


def concat(*parts: Tensor) -> Tensor:
    """Matrices, or biases, below each other."""
    if len({part.shape for part in parts}) > 1:
        raise RuntimeError("Parts of one matrix differ in shape")
    return torch.cat(parts, dim=0)


def transpose(weight: Tensor) -> Tensor:
    """A matrix that is stored the other way round."""
    return weight.t()


def squeeze_kernel(kernel: Tensor) -> Tensor:
    """Weight of the linear layer that a convolution of width 1 is."""
    return kernel.squeeze(-1)


def folded_matrix(gain: Tensor, direction: Tensor) -> Tensor:
    """`squeeze_kernel` of a weight-normalised convolution."""
    return squeeze_kernel(fold_weight_norm(gain, direction))


def as_row(values: Tensor) -> Tensor:
    """A list of numbers as a table of one row."""
    return values[None]


def copy_leaves(ours: str, theirs: str, *leaves: str) -> dict[str, Source]:
    """Tensors of one layer that are taken as they are."""
    return {f"{ours}.{leaf}": Source((f"{theirs}.{leaf}",)) for leaf in leaves}
