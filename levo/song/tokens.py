"""What a song is before sound: its codes, what was asked for, and how it was composed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from torch import Tensor

from ..config import FRAME_RATE, LelmConfig, Sampling


@dataclass(frozen=True)
class SongRequest:
    """What a song is asked to be, before any model sees it."""

    lyrics: str  # strict format; "." for an instrumental
    tags: str
    instrumental: bool
    style: Tensor | None = None  # style prompt codes [1, 3, 250]


@dataclass(frozen=True)
class Composer:
    """The LeLM that composed."""

    checkpoint: str  # name of its file
    version: str  # "v1" or "v2"
    config_sha256: str  # see `config_hash`


@dataclass(frozen=True)
class SongTokens:
    """Takes of a song, each all that it is before sound.

    The model does not tell when a section begins; the lyrics hold only their order.
    """

    codes: Tensor  # [N, 3, T] int64: mixed, vocal, accompaniment; EMPTY where a take is over
    lengths: tuple[int, ...]  # frames of each take
    seeds: tuple[int, ...]
    ended: tuple[bool, ...]  # each by itself, not by the limit
    request: SongRequest
    sampling: Sampling
    composer: Composer

    @property
    def takes(self) -> list[Tensor]:
        """Codes [1, 3, frames] of each take."""
        return [codes[None, :, :length] for codes, length in zip(self.codes, self.lengths, strict=True)]

    @property
    def seconds(self) -> float:
        """Of the longest take."""
        return max(self.lengths) / FRAME_RATE


def config_hash(config: LelmConfig) -> str:
    """SHA-256 of a config in hexadecimal: of its fields as JSON with sorted names."""
    text = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
