"""Sound to bytes of a file and back, by soundfile, which is imported when needed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .. import VERSION
from ..config import SAMPLE_RATE
from .job import BITS, SUFFIX

WAV_COMMENT = 2_000  # bytes: libsndfile leaves out longer ones
TITLE, GENRE, LYRICS = "title", "genre", "lyrics"


class MissingPackageError(ValueError):
    """soundfile is not installed; the message is for the user."""


def encoded(waveform: Tensor, form: str, tags: Mapping[str, Any]) -> bytes:
    """A file's bytes; the same sound and tags give the same.

    Args:
        waveform: [2, samples] at 48 kHz; what is beyond -1 and 1 is clipped.
        form: of `job.SUFFIX`.
        tags: `title` and `genre` have places of their own; all together stand in the comment, as JSON. In
            WAV files, whose comments are short, without lyrics where these are long.
    """
    kind = SUFFIX[form][1:].upper()
    file = io.BytesIO()
    with _soundfile().SoundFile(
        file, "w", SAMPLE_RATE, len(waveform), f"PCM_{BITS[form]}", format=kind
    ) as out:
        out.title, out.software = _text(tags[TITLE]), f"LeVo {VERSION}"
        if tags.get(GENRE):
            out.genre = _text(tags[GENRE])
        out.comment = _comment(tags, WAV_COMMENT if kind == "WAV" else None)
        out.write(waveform.t().numpy())
    return file.getvalue()


def decoded(data: bytes | Path) -> tuple[Tensor, int]:
    """Samples [1, channels, samples] float32 of a file or its bytes, and their rate in Hz.

    Raises:
        ValueError: it is no sound that libsndfile can read.
    """
    soundfile = _soundfile()
    try:
        samples, rate = soundfile.read(
            io.BytesIO(data) if isinstance(data, bytes) else str(data), dtype="float32", always_2d=True
        )
    except soundfile.LibsndfileError as error:
        name = "The sound" if isinstance(data, bytes) else str(data)
        raise ValueError(f"{name} is no audio that libsndfile can read; convert it to FLAC.") from error
    return torch.from_numpy(samples.T.copy())[None], int(rate)


def require_package() -> None:
    """Raise MissingPackageError unless sound can be read and written."""
    _soundfile()


def _comment(tags: Mapping[str, Any], most: int | None) -> str:
    text = _text(json.dumps(tags, ensure_ascii=False))
    if most is None or len(text.encode()) <= most:
        return text
    rest = _text(json.dumps({k: v for k, v in tags.items() if k != LYRICS}, ensure_ascii=False))
    return rest if len(rest.encode()) <= most else ""


def _text(text: str) -> str:
    """A text as files hold it: whole, and in one piece."""
    return text.replace("\0", " ").encode(errors="replace").decode()


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: libsndfile itself is missing
        raise MissingPackageError(
            'Sound files need the package soundfile; run "pip install soundfile" (or ".[batch]" in the '
            "pack's folder)."
        ) from error
    module: ModuleType = soundfile
    return module
