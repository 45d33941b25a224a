"""The pack's socket types and what travels on them.

On LEVO_CONDITIONING travels a `SongRequest`, on LEVO_TOKENS `SongTokens`; those are checked where levo
takes them (levo/song/tokens.py), what else travels is checked here, before a node runs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..levo.batch.saving import Planned
from ..levo.config import described
from ..levo.kinds import MODELS, Kind
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
    file: Path | None  # that the weights came from; None for random weights
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


# What a node is given -------------------------------------------------------------------------------------


class SocketError(ValueError):
    """What does not belong on a socket, in one sentence; a switch or a reroute may put anything there."""


@dataclass(frozen=True)
class Carried:
    """What belongs on the sockets of a type."""

    what: str  # for messages
    source: str  # which nodes give it, for messages
    carrier: type
    parts: Mapping[str, type | tuple[type, ...]]  # of its attributes


def _config(kind: Kind) -> dict[str, type]:
    return {"config": MODELS[kind].config}


MODEL_PARTS = {"tracks": LoadedModel, "mixed": LoadedModel}
SOUNDS = {"vocals": (Tensor, NoneType), "accompaniment": (Tensor, NoneType)}
STYLES = "LeVo Style from Audio or LeVo Style from Library"
CARRIED = {
    LelmSocket: Carried("a LeLM", "LeVo Load LeLM", LoadedLelm, _config(Kind.LELM)),
    RendererSocket: Carried("a renderer", "LeVo Load Renderer", LoadedModel, _config(Kind.RENDERER)),
    VaeSocket: Carried("a VAE", "LeVo Load VAE", LoadedModel, _config(Kind.VAE)),
    SeparatorSocket: Carried("a separator", "LeVo Load Separator", LoadedModel, _config(Kind.SEPARATOR)),
    StyleEncoderSocket: Carried(
        "a style encoder", "LeVo Load Style Encoder", LoadedStyleEncoder, MODEL_PARTS
    ),
    StyleSocket: Carried("a style", STYLES, Style, SOUNDS),
    SongSocket: Carried("a song of a list", "LeVo Songs from JSONL", ListedSong, {"planned": Planned}),
}
BY_TYPE = {socket.io_type: carried for socket, carried in CARRIED.items()}


def checking(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same node, which runs only with what belongs on its sockets; else it raises SocketError."""
    execute = node.execute.__func__

    @functools.wraps(execute)
    def checked(cls: type[io.ComfyNode], *args: Any, **inputs: Any) -> io.NodeOutput:
        schema = cls.SCHEMA or node.define_schema()  # ComfyUI locks the class that it runs
        for each in schema.inputs:
            fitting = [BY_TYPE[name] for name in each.get_io_type().split(",") if name in BY_TYPE]
            for value in _values(inputs, each, schema.is_input_list) if fitting else ():
                if not any(_belongs(value, carried) for carried in fitting):
                    raise SocketError(_refusal(schema.display_name, fitting, value))
        return execute(cls, *args, **inputs)

    node.execute = classmethod(checked)
    return node


def _values(inputs: dict[str, Any], each: io.Input, listed: bool) -> Iterator[Any]:
    """What was given for an input, one by one; an optional one may also be given nothing."""
    values = inputs.get(each.id, [] if listed else None)
    for value in values if listed and isinstance(values, list) else [values]:
        if value is not None or not each.optional:
            yield value


def _belongs(value: object, carried: Carried) -> bool:
    return isinstance(value, carried.carrier) and all(
        isinstance(getattr(value, name), kind) for name, kind in carried.parts.items()
    )


def _refusal(node: str, fitting: list[Carried], value: object) -> str:
    what = " or ".join(carried.what for carried in fitting)
    sources = " or ".join(carried.source for carried in fitting)
    actual = next((known.what for known in BY_TYPE.values() if _belongs(value, known)), None)
    return f"{node} needs {what}, and what it was given is {actual or described(value)}; connect {sources}."
