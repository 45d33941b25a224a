"""Sound to bytes of a file and back, by soundfile, which is imported when needed.

What a file says of its song is put in by levo/audio/file_tags.py: libsndfile writes no lyrics, and nothing
long into WAV files, where many programs look for an ID3 tag alone.
"""

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
from ..audio.file_tags import FileTags, clean, with_chunk, with_comments
from ..config import SAMPLE_RATE
from ..song.file_tags import printed
from .job import BITS, SUFFIX

TITLE, GENRE, LYRICS, SEED = "title", "genre", "lyrics", "seed"
SOFTWARE = f"LeVo {VERSION}"


class MissingPackageError(ValueError):
    """soundfile is not installed; the message is for the user."""


def encoded(waveform: Tensor, form: str, song: Mapping[str, Any]) -> bytes:
    """A file's bytes; the same sound and tags give the same.

    Args:
        waveform: [2, samples] at 48 kHz; what is beyond -1 and 1 is clipped.
        form: of `job.SUFFIX`.
        song: what is said of it: title, genre, lyrics and seed where players look for them, and all
            together as JSON in the comment.
    """
    kind = SUFFIX[form][1:].upper()
    tags = _tags(song)
    file = io.BytesIO()
    with _soundfile().SoundFile(
        file, "w", SAMPLE_RATE, len(waveform), f"PCM_{BITS[form]}", format=kind
    ) as out:
        out.title, out.software = tags.title, SOFTWARE
        if tags.genre:
            out.genre = tags.genre
        out.write(waveform.t().numpy())
    return (with_chunk if kind == "WAV" else with_comments)(file.getvalue(), tags)


def decoded(data: bytes | Path) -> tuple[Tensor, int]:
    """Samples [1, channels, samples] float32 of a file or its bytes, and their rate in Hz.

    Raises:
        ValueError: it cannot be opened, or is no sound that libsndfile can read.
    """
    soundfile = _soundfile()
    name = "The sound" if isinstance(data, bytes) else str(data)
    try:
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except OSError as error:
        raise ValueError(
            f"{name} cannot be opened ({error.strerror}); see that it is there and that you may read it."
        ) from error
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{name} is no audio that libsndfile can read; convert it to FLAC.") from error
    return torch.from_numpy(samples.T.copy())[None], int(rate)


def require_package() -> None:
    """Raise MissingPackageError unless sound can be read and written."""
    _soundfile()


def _tags(song: Mapping[str, Any]) -> FileTags:
    texts = {name: clean(str(song.get(name, ""))) for name in (TITLE, GENRE, LYRICS, SEED)}
    return FileTags(
        texts[TITLE],
        genre=texts[GENRE].rstrip(". "),
        lyrics=printed(texts[LYRICS]),
        comment=json.dumps(song, ensure_ascii=False),
        more={SEED: texts[SEED], "software": SOFTWARE},
    )


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
