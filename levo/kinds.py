"""The kinds of model, and of other files, that the pack knows; one row for each kind of model.

A row holds data alone. The layouts of released names stay in files/released, which needs the rows itself,
and the models are built where they are loaded, so that whoever asks for a kind does not import all of them.
Which node loads a kind is `LOADERS` in nodes/host/folders.py, because levo/ knows no nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import config, tiny
from .files import catalogue
from .files.catalogue import RemoteFile


class Kind(str, Enum):
    """What a file holds; the values stand in metadata of files and in messages."""

    LELM = "LeLM"
    RENDERER = "renderer"
    VAE = "VAE"
    MIXED_ENCODER = "1rvq tokenizer"
    TRACK_ENCODER = "septoken tokenizer"
    SEPARATOR = "HTDemucs separator"
    PROMPT_LIBRARY = "prompt library"
    STYLE = "style"
    SONG_TOKENS = "song tokens"

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        # Versions of Python differ in what Enum does here.
        return format(self.value, spec)


@dataclass(frozen=True)
class ModelKind:
    """What belongs to one kind of model."""

    config: type  # of the model's sizes
    tiny: Any  # config of the built-in model
    file: str  # what the released file is called, for messages
    published: tuple[RemoteFile, ...]  # the released files, or those of the release to start with
    released: Any = None  # config of the released files; None where it is read from them
    names: tuple[str, ...] = ()  # of released files; what one that cannot be read was meant to be
    marker: str | None = None  # pattern of a tensor's name that only a released file of this kind has
    second_kind: Kind | None = None  # what else a released file of this kind holds


# A released file is of the first kind whose marker is in it.
MODELS = {
    Kind.LELM: ModelKind(
        config.LelmConfig,
        tiny.LELM,
        "model.pt of a SongGeneration release",
        catalogue.RELEASES["v2-medium"],
        names=("model.pt", "model.safetensors"),
        marker=r"condition_provider\..*",
    ),
    Kind.RENDERER: ModelKind(
        config.RendererConfig,
        tiny.RENDERER,
        "model_2.safetensors of model_septoken",
        catalogue.RENDERER,
        released=config.RendererConfig(),
        names=("model_2.safetensors",),
        marker=r"rvq_bestrq_bgm_emb\..*",
        second_kind=Kind.TRACK_ENCODER,
    ),
    Kind.MIXED_ENCODER: ModelKind(
        config.StyleEncoderConfig,
        tiny.MIXED_ENCODER,
        "model_2_fixed.safetensors of model_1rvq",
        catalogue.MIXED_ENCODER,
        released=config.MIXED_ENCODER,
        names=("model_2_fixed.safetensors",),
        marker=r"rvq_bestrq_emb\..*",
    ),
    Kind.TRACK_ENCODER: ModelKind(
        config.StyleEncoderConfig,
        tiny.TRACK_ENCODER,
        "model_2.safetensors of model_septoken",
        catalogue.RENDERER,
        released=config.TRACK_ENCODER,
    ),
    Kind.VAE: ModelKind(
        config.VaeConfig,
        tiny.VAE,
        "autoencoder_music_1320k.ckpt",
        catalogue.VAE,
        released=config.VaeConfig(),
        names=("autoencoder_music_1320k.ckpt",),
        marker=r"decoder\.layers\.0\.weight_v",
    ),
    Kind.SEPARATOR: ModelKind(
        config.SeparatorConfig,
        tiny.SEPARATOR,
        "htdemucs.pth",
        catalogue.SEPARATOR,
        names=("htdemucs.pth", "955717e8-8726e21a.th"),
        marker=r"crosstransformer\..*",
    ),
}


def second_kind(kind: Kind) -> Kind | None:
    """What else a released file of a kind holds."""
    return MODELS[kind].second_kind if kind in MODELS else None
