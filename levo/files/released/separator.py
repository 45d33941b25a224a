"""HTDemucs: the model is the package's own, so that names stay; sizes follow from shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from ...kinds import Kind
from .layout import Layout, Source

LAYER = re.compile(r"crosstransformer\.layers\.(\d+)\..*")


def separator_layout(model: nn.Module) -> Layout:
    """Layout of `htdemucs.pth` and of Meta's files, for a model of the file's config."""
    return Layout(Kind.SEPARATOR, {name: Source((name,)) for name in model.state_dict()}, ())


def separator_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Fields of SeparatorConfig that follow from the shapes of a file's tensors.

    Raises:
        ValueError: these are not the tensors of an HTDemucs.
    """
    try:
        channels = tensors["encoder.0.conv.weight"].shape[0]
        hidden = tensors["encoder.0.dconv.layers.0.0.weight"].shape[0]
        bottom = tensors["channel_upsampler.weight"].shape[0]
        layers = [int(match[1]) for name in tensors if (match := LAYER.fullmatch(name))]
        return {
            "channels": channels,
            "compression": channels // hidden,
            "bottom": bottom,
            "layers": max(layers) + 1,
        }
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ValueError("not an HTDemucs") from error
