"""A stand-in for Qwen2's vocabulary: of its size, with its first 256 ids, which are bytes, and two merges.

Ids of special tokens, tags and single bytes are then the real ones; tests/parity compares them.
"""

from __future__ import annotations

import json
from pathlib import Path

SIZE = 151_643
# Bytes that have a character of their own; the others are written as those from 256 on.
OWN = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
MERGES = (". .", ".. .")


def byte_characters() -> list[str]:
    """The characters that stand for bytes, in the order of their ids."""
    others = 256 - len(OWN)
    return [chr(code) for code in (*OWN, *range(256, 256 + others))]


def write_vocabulary(folder: Path) -> Path:
    """Write vocab.json and merges.txt into `folder`, and return it."""
    words = [*byte_characters(), *(merge.replace(" ", "") for merge in MERGES)]
    words += [f"word {number}" for number in range(SIZE - len(words))]
    ids = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(("#version: 0.2", *MERGES, "")), encoding="utf-8")
    return folder
