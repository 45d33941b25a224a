"""How a file that was chosen becomes a model in the hands of ComfyUI's memory manager."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..levo.files import released
from ..levo.files.checkpoint import CheckpointFile, reads_bytes
from ..levo.files.loading import load_weights, open_file
from ..levo.kinds import Kind
from ..levo.layers import weights
from ..levo.lelm.model import LeLM
from ..levo.renderer.model import Renderer
from ..levo.separator.model import build as build_htdemucs
from ..levo.style_encoder.encode import StyleEncoder
from ..levo.text.tokenizer import Tokenizer
from ..levo.vae.oobleck import Vae
from .host import folders, graphs, memory
from .host.precision import AUTO, Precision, audio_precision, lelm_precision, renderer_precision
from .sockets import LoadedLelm, LoadedModel


def load_lelm(
    choice: str,
    dtype: str,
    attention: str = AUTO,
    compiled: str = graphs.AUTO,
    small_cache: bool = False,
) -> LoadedLelm:
    """Build LeLM and load it from the file chosen in the combo."""
    path = folders.path_of(Kind.LELM, choice)
    file, config = open_file(Kind.LELM, path)
    precision = lelm_precision(dtype, attention, config.head_width)
    model = build(partial(LeLM, config, attention=precision.attention), precision)
    load_or_init(model, file, released.lelm_layout(config))
    tokenizer = Tokenizer(None if reads_bytes(file) else folders.tokenizer_folder(), config.version)
    managed = memory.managed(model)
    return LoadedLelm(managed, config, path, precision.dtype, tokenizer, compiled, small_cache)


def load_renderer(choice: str, dtype: str, attention: str = AUTO) -> LoadedModel:
    """Build the renderer and load it from the file chosen in the combo."""
    path = folders.path_of(Kind.RENDERER, choice)
    file, config = open_file(Kind.RENDERER, path)
    precision = renderer_precision(dtype, attention, config.width // config.heads)
    model = build(partial(Renderer, config, attention=precision.attention), precision)
    load_or_init(model, file, released.renderer_layout(config))
    return LoadedModel(memory.managed(model), config, path, precision.dtype)


def load_vae(choice: str, dtype: str) -> LoadedModel:
    """Build the VAE and load it from the file chosen in the combo."""
    path = folders.path_of(Kind.VAE, choice)
    file, config = open_file(Kind.VAE, path)
    precision = audio_precision(dtype)
    encodes = file is None or file.encodes
    model = build(partial(Vae, config, encodes=encodes), precision)
    load_or_init(model, file, released.vae_layout(config, encodes), vae=True)
    return LoadedModel(memory.managed(model, vae=True), config, path, precision.dtype)


def load_separator(choice: str) -> LoadedModel:
    """Build HTDemucs and load it from the file chosen in the combo, as fp32: rounding is audible."""
    path = folders.path_of(Kind.SEPARATOR, choice)
    file, config = open_file(Kind.SEPARATOR, path)
    model = build_htdemucs(config, "meta")
    load_or_init(model, file, released.separator_layout(model))
    return LoadedModel(memory.managed(model), config, path, torch.float32)


def load_encoder(kind: Kind, choice: str) -> LoadedModel:
    """Build an encoder and load it from the file chosen in the combo; in fp32, as it was published."""
    path = folders.path_of(kind, choice)
    file, config = open_file(kind, path)
    precision = audio_precision()
    model = build(partial(StyleEncoder, config, attention=precision.attention), precision)
    load_or_init(model, file, released.style_encoder_layout(config))
    return LoadedModel(memory.managed(model), config, path, precision.dtype)


def build(kind: Callable[..., nn.Module], precision: Precision) -> nn.Module:
    """Build a model that shows what it needs, and holds no numbers yet.

    Args:
        kind: builds it for `operations`, `device` and `dtype`.
        precision: how it computes.
    """
    place = {"device": "meta", "dtype": precision.dtype}
    model = kind(operations=precision.operations, **place)
    weights.declare(model, kind(operations=precision.plain, **place).state_dict())
    return model


def load_or_init(
    model: nn.Module,
    file: CheckpointFile | None,
    layout: released.Layout,
    vae: bool = False,
) -> None:
    """Give a model the tensors of its file, or random ones where there is none.

    Raises:
        CheckpointError: the file does not hold the model; says which file.
    """
    load_weights(model, file, layout, memory.offload_device(vae))
