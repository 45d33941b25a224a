"""What sound files say of their songs, as av reads it."""

from __future__ import annotations

import io
from pathlib import Path

import av


def tags_of(file: Path | bytes) -> tuple[dict[str, str], int]:
    """Texts of a sound file by their names in small letters, and how many pictures are in it."""
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as container:
        texts = {**container.metadata, **container.streams.audio[0].metadata}
        return {name.lower(): text for name, text in texts.items()}, len(container.streams.video)
