"""What a song is before sound: its codes, what was asked for, and how it was composed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import TypeGuard

import torch
from torch import Tensor

from ..config import EMPTY, FRAME_RATE, LelmConfig, Sampling, described, require_number
from ..lelm.codes import CodesError, are_codes, codes_of
from ..lelm.compose import Composition

SEEDS = 1 << 64
MOST_TAKES = 1_000  # that anybody has room for
PER_TAKE = {"lengths": int, "seeds": int, "ended": bool}  # what SongTokens have for each take


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

    @classmethod
    def of(
        cls,
        compositions: Sequence[Composition],
        seeds: Sequence[int],
        request: SongRequest,
        sampling: Sampling,
        composer: Composer,
    ) -> SongTokens:
        """The compositions that have a frame, one a seed.

        Raises:
            ValueError: none has one.
        """
        pairs = [pair for pair in zip(compositions, seeds, strict=True) if pair[0].codes.shape[2]]
        if not pairs:
            raise ValueError("The song ended before its first frame; try another seed or other lyrics.")
        lengths = tuple(song.codes.shape[2] for song, _ in pairs)
        codes = torch.full((len(pairs), 3, max(lengths)), EMPTY)
        for row, (song, _) in zip(codes, pairs, strict=True):
            row[:, : song.codes.shape[2]] = song.codes[0]
        ended = tuple(song.ended for song, _ in pairs)
        return cls(codes, lengths, tuple(seed for _, seed in pairs), ended, request, sampling, composer)

    @property
    def takes(self) -> list[Tensor]:
        """Codes [1, 3, frames] of each take."""
        return [codes[None, :, :length] for codes, length in zip(self.codes, self.lengths, strict=True)]

    @property
    def seconds(self) -> float:
        """Of the longest take."""
        return max(self.lengths) / FRAME_RATE


def checked_tokens(tokens: object, node: str) -> SongTokens:
    """Tokens as they came on a socket, checked.

    Args:
        tokens: whatever stands on the socket.
        node: whose input it is, for messages.

    Raises:
        CodesError: no tokens, or with codes that no song has.
    """
    if not isinstance(tokens, SongTokens):
        raise CodesError(
            f"{node} needs tokens, and what it was given is {described(tokens)}; connect LeVo Compose or "
            "LeVo Load Tokens."
        )
    codes = codes_of(tokens.codes, f"The song that {node} was given")
    if wrong := _misfit(tokens, codes):
        raise CodesError(f"{node} was given tokens {wrong}; load or compose the song again.")
    sung = torch.arange(codes.shape[2]) < torch.tensor(tokens.lengths)[:, None, None]
    if (sung & ~are_codes(codes)).any():
        raise CodesError(f"{node} was given tokens with frames that have no code; compose the song again.")
    return replace(tokens, codes=codes)


def _misfit(tokens: SongTokens, codes: Tensor) -> str | None:
    """What tokens have that is not what a song has, as the rest of a sentence; all but their codes."""
    for name, kind in PER_TAKE.items():
        values = getattr(tokens, name)
        if not isinstance(values, (tuple, list)) or not all(type(each) is kind for each in values):
            return f"whose {name} cannot be read"
    counts = {len(getattr(tokens, name)) for name in PER_TAKE}
    if counts != {len(codes)} or not all(0 < n <= codes.shape[2] for n in tokens.lengths):
        return f"whose codes, of the shape {list(codes.shape)}, do not fit their takes"
    if not _is_request(tokens.request):
        return "that do not say what was asked for"
    composer = tokens.composer
    is_composer = isinstance(composer, Composer) and all(
        isinstance(each, str) for each in astuple(composer)
    )
    return (
        None
        if is_composer and isinstance(tokens.sampling, Sampling)
        else "that do not say how they were made"
    )


def _is_request(request: object) -> TypeGuard[SongRequest]:
    return (
        isinstance(request, SongRequest)
        and isinstance(request.lyrics, str)
        and isinstance(request.tags, str)
        and isinstance(request.instrumental, bool)
    )


def checked_request(request: object, node: str) -> SongRequest:
    """What a song is asked to be, as it came on a socket; its style is checked where it is used.

    Raises:
        ValueError: it is something else.
    """
    if not _is_request(request):
        what = "one without texts" if isinstance(request, SongRequest) else described(request)
        raise ValueError(
            f"{node} needs a conditioning, and what it was given is {what}; connect LeVo Conditioning."
        )
    return request


def require_seed(seed: object) -> None:
    """Raises SettingError: no generator starts from it."""
    require_number("seed", seed, -SEEDS // 2, SEEDS - 1, whole=True)


def seeds_from(seed: int, count: int) -> list[int]:
    """A seed and the next ones; after the last of 64 bits comes 0.

    Raises:
        SettingError: these are no whole numbers, or there is to be none.
    """
    require_seed(seed)
    require_number("number of takes", count, 1, MOST_TAKES, whole=True)
    return [(int(seed) + number) % SEEDS for number in range(count)]


def config_hash(config: LelmConfig) -> str:
    """SHA-256 of a config in hexadecimal: of its fields as JSON with sorted names."""
    text = json.dumps(asdict(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
