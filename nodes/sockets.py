"""The pack's socket types and what travels on them.

On LEVO_CONDITIONING travels a `SongRequest`, on LEVO_TOKENS `SongTokens`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..levo.batch.saving import Planned
from ..levo.song.tokens import SongRequest, SongTokens  # noqa: F401  nodes find here all that travels
from ..levo.text.tokenizer import Tokenizer

LelmSocket = io.Custom("LEVO_LELM")
RendererSocket = io.Custom("LEVO_RENDERER")
VaeSocket = io.Custom("LEVO_VAE")
StyleEncoderSocket = io.Custom("LEVO_STYLE_ENCODER")
SeparatorSocket = io.Custom("LEVO_SEPARATOR")
StyleSocket = io.Custom("LEVO_STYLE")
ConditioningSocket = io.Custom("LEVO_CONDITIONING")
TokensSocket = io.Custom("LEVO_TOKENS")
SongSocket = io.Custom("LEVO_SONG")


@dataclass(frozen=True)
class LoadedModel:
    """A model in the hands of ComfyUI's memory manager; on the sockets of all models but LeLM."""

    patcher: Any  # comfy.model_patcher.ModelPatcher
    config: Any  # of the model's kind
    file: Path | None  # that the weights came from; None for the built-in tiny set
    dtype: torch.dtype  # of what it computes


@dataclass(frozen=True)
class LoadedLelm(LoadedModel):
    """On LEVO_LELM."""

    tokenizer: Tokenizer
    compile: str  # whether steps are compiled; see `nodes.host.graphs`
    small_cache: bool  # whether keys and values of a song are kept as bytes


@dataclass(frozen=True)
class LoadedStyleEncoder:
    """On LEVO_STYLE_ENCODER: the encoders of both tokenizer files."""

    tracks: LoadedModel  # vocals and accompaniment
    mixed: LoadedModel


@dataclass(frozen=True)
class Style:
    """On LEVO_STYLE: 10 s, or the up to 10 s of a short clip, that a song shall sound like."""

    codes: Tensor  # [1, 3, 250] int64: mixed, vocal, accompaniment
    name: str  # of the clip or the library's entry, for people
    vocals: Tensor | None = None  # [1, 2, 480000 or fewer] float32 on the CPU at 48 kHz; None without audio
    accompaniment: Tensor | None = None  # the same


@dataclass(frozen=True)
class ListedSong:
    """On LEVO_SONG: a song of a list, and where what becomes of it belongs."""

    planned: Planned  # its folder lies below ComfyUI's output folder
    started: str  # when the list was read
