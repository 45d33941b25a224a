"""Prompt libraries in the forms in which they were published, with codes of our own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

# Styles and entries of new_auto_prompt.pt, fewer of each, and of new_prompt.pt.
SPOKEN = {"Pop": {"zh": 3, "en": 5}, "R&B/Soul": {"zh": 2, "en": 2}, "Auto": {"zh": 4, "en": 4}}
UNSPOKEN = {"Pop": 38, "Chinese Style": 14, "Metal": 5, "Auto": 18}


def entry(number: int, frames: int = 250) -> Tensor:
    """Codes that are like no other entry's."""
    return torch.randint(16_384, (1, 3, frames), generator=torch.Generator().manual_seed(number))


def spoken(frames: int = 250) -> dict[str, dict[str, list[Tensor]]]:
    """What new_auto_prompt.pt holds."""
    numbers = iter(range(1_000))
    return {
        style: {
            language: [entry(next(numbers), frames) for _ in range(n)] for language, n in entries.items()
        }
        for style, entries in SPOKEN.items()
    }


def unspoken() -> dict[str, list[Tensor]]:
    """What new_prompt.pt holds."""
    numbers = iter(range(2_000, 3_000))
    return {style: [entry(next(numbers)) for _ in range(n)] for style, n in UNSPOKEN.items()}


def write(path: Path, content: object) -> Path:
    """Write a library as it was published: a pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path
