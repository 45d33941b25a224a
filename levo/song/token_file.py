"""Songs as tokens in a file: `SongTokens` to safetensors and back.

Format 1, metadata (text):
    levo.part       "song tokens"
    levo.format     "1"; a reader refuses others
    levo.song       JSON object:
        lyrics, tags (text), instrumental (true or false): what was asked for; lyrics in the strict format,
            whose headings give the sections in their order
        section_seconds     null: where a section begins in time is not known, the model does not tell
        takes       list of {"frames": n, "seed": n, "ended": true or false}, 25 frames a second;
            ended: by itself, not by the limit
        sampling    the settings of LeVo Compose by name
        composer    {"checkpoint": file, "version": "v1" or "v2", "config_sha256": hexadecimal}
        pack        version of ComfyUI-LeVo that wrote the file
Tensors (int16):
    codes   [takes, 3, longest take's frames]: mixed, vocal, accompaniment; 16385 behind a take's end
    style   [3, n], only with a style prompt: its codes, 16385 where a track has none

Unknown metadata and JSON names are ignored, so a later writer may add some without a new format.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor

from .. import VERSION
from ..config import CODES, EMPTY, PROMPT_FRAMES, STYLE_ROWS, Sampling
from ..files import atomic
from ..files.damage import printable, raise_if_newer, unopened
from ..files.safetensors_header import HeaderError, read_header
from ..kinds import Kind
from ..lelm.codes import codes_of
from .tokens import Composer, SongRequest, SongTokens, checked_tokens

FORMAT = "1"
TRACKS = 3
TAKE = {"frames": int, "seed": int, "ended": bool}
FIELDS: dict[Any, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
}  # by the annotation of a dataclass's field


class TokenFileError(ValueError):
    """A file does not hold a song; the message is for the user."""


def save(path: Path, tokens: SongTokens, place: Callable[[Path], object] | None = None) -> None:
    """Write a song; the file appears only when it is complete.

    Args:
        path: of the file; its folder is made.
        tokens: to write.
        place: see `atomic.writing`.

    Raises:
        WriteError: the disk is full or cannot be written.
    """
    tokens = checked_tokens(tokens, "LeVo Save Tokens")  # int16 would make other codes of wrong ones
    tensors = {"codes": tokens.codes.to(torch.int16).contiguous()}
    if tokens.request.style is not None:
        style = codes_of(tokens.request.style, "The style of the song")
        tensors["style"] = style[0].to(torch.int16).contiguous()
    metadata = {
        "levo.part": Kind.SONG_TOKENS.value,
        "levo.format": FORMAT,
        "levo.song": json.dumps(_described(tokens)),
    }
    size = sum(tensor.nbytes for tensor in tensors.values())
    with atomic.writing(path, size, place) as unfinished:
        unfinished.write_bytes(save_tensors(tensors, metadata))


def is_song(path: Path) -> bool:
    """Whether a file says that it holds a song and is all there; it may still be damaged within."""
    try:
        header = read_header(path)
        part = header.metadata.get("levo.part")
        return part == Kind.SONG_TOKENS and header.size == path.stat().st_size
    except (OSError, HeaderError):
        return False


def load(path: Path) -> SongTokens:
    """Read a song.

    Args:
        path: of an existing file.

    Raises:
        TokenFileError: damaged, foreign, from a newer version, or with values that no song has.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = set(file.keys()) & {"codes", "style"}
            tensors = {name: file.get_tensor(name) for name in names}
    except PermissionError as error:
        raise TokenFileError(unopened(path, error)) from error
    except Exception as error:  # of many kinds, as what is wrong with the file
        raise _damaged(path, "it is cut off or no safetensors file") from error
    if metadata.get("levo.part") != Kind.SONG_TOKENS:
        raise TokenFileError(f"{path.name} holds no song; choose a file that LeVo Save Tokens wrote.")
    raise_if_newer(path.name, metadata.get("levo.format"), FORMAT, TokenFileError)
    try:
        description = json.loads(metadata["levo.song"])
    except (KeyError, ValueError, RecursionError) as error:  # or a number of thousands of digits
        raise _damaged(path, "its description cannot be read") from error
    try:
        return _song(description, tensors)
    except KeyError as error:
        raise _damaged(path, f"it lacks {error.args[0]}") from error
    except (TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _described(tokens: SongTokens) -> dict[str, Any]:
    takes = zip(tokens.lengths, tokens.seeds, tokens.ended, strict=True)
    return {
        "lyrics": tokens.request.lyrics,
        "section_seconds": None,
        "tags": tokens.request.tags,
        "instrumental": tokens.request.instrumental,
        "takes": [dict(zip(TAKE, take, strict=True)) for take in takes],
        "sampling": asdict(tokens.sampling),
        "composer": asdict(tokens.composer),
        "pack": VERSION,
    }


def _song(description: dict[str, Any], tensors: dict[str, Tensor]) -> SongTokens:
    """A song of what its file says; a KeyError, TypeError or ValueError with the reason if it cannot be."""
    takes = [
        [_of(take, name, kind) for name, kind in TAKE.items()] for take in _of(description, "takes", list)
    ]
    if not takes:
        raise ValueError("it has no takes")
    lengths, seeds, ended = zip(*takes, strict=True)
    codes = _codes(tensors["codes"], lengths)
    request = SongRequest(
        _of(description, "lyrics", str),
        _of(description, "tags", str),
        _of(description, "instrumental", bool),
        _style(tensors),
    )
    sampling = _filled(Sampling, _of(description, "sampling", dict))
    composer = _filled(Composer, _of(description, "composer", dict))
    if composer.version not in STYLE_ROWS:
        raise ValueError("its version is unknown")
    return SongTokens(codes, lengths, seeds, ended, request, sampling, composer)


def _codes(codes: Tensor, lengths: tuple[int, ...]) -> Tensor:
    if min(lengths) < 1:
        raise ValueError("a take has no frames")
    if codes.dtype != torch.int16 or codes.shape != (len(lengths), TRACKS, max(lengths)):
        raise ValueError(f"its codes have the shape {list(codes.shape)}, which does not fit its takes")
    codes = codes.long()
    sung = torch.arange(codes.shape[2]) < torch.tensor(lengths)[:, None, None]
    if not torch.where(sung, (codes >= 0) & (codes < CODES), codes == EMPTY).all():
        raise ValueError("it has codes out of range")
    return codes


def _style(tensors: dict[str, Tensor]) -> Tensor | None:
    style = tensors.get("style")
    if style is None:
        return None
    fits = style.ndim == 2 and len(style) == TRACKS and style.shape[1] >= PROMPT_FRAMES
    if style.dtype != torch.int16 or not fits:
        raise ValueError(f"its style prompt has the shape {list(style.shape)}, which no prompt has")
    style = style.long()
    if not (((style >= 0) & (style < CODES)) | (style == EMPTY)).all():
        raise ValueError("its style prompt has codes out of range")
    return style[None]


def _of(description: dict[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(description, dict):
        raise TypeError("its description is not as it should be")
    value = description[name]
    # For Python true is a number too.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"its {name} cannot be read")
    return value


def _filled(kind: type, description: dict[str, Any]) -> Any:
    """A dataclass of texts and numbers out of a JSON object."""
    return kind(**{field.name: _of(description, field.name, FIELDS[field.type]) for field in fields(kind)})


def _damaged(path: Path, reason: str) -> TokenFileError:
    name = printable(path.name)
    return TokenFileError(f"{name} is damaged ({reason}); take another copy or save the song again.")
