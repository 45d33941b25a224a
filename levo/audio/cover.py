"""A picture as other nodes hand it over becomes the cover of a song.

Knows what ComfyUI calls IMAGE, a tensor; nothing of files. Needs Pillow, which ComfyUI ships.
"""

from __future__ import annotations

import io

import torch
from torch import Tensor

from ..config import described
from .file_tags import BLOCK_BYTES, Cover

LARGEST = 4_096  # pixels of a side; shops ask for 3000
QUALITY = 92  # of JPEG
MOST_BYTES = BLOCK_BYTES - 1_000  # of what a FLAC holds in one block


class CoverError(ValueError):
    """Why something is no cover, in one sentence."""


def covers_of(image: object) -> list[Cover]:
    """Covers of an IMAGE, one for each picture of its batch.

    Args:
        image: whatever stands on the socket; [B, H, W, 1, 3 or 4] of floats from 0 to 1, of which the
            fourth channel, how much of a pixel is there, is left out.

    Raises:
        CoverError: no picture, or one that no sound file should hold.
    """
    if not isinstance(image, Tensor) or image.ndim != 4 or not image.numel():
        raise CoverError(
            f"The cover should be a picture and is {described(image)}; connect an image output."
        )
    height, width, channels = image.shape[1:]
    if channels not in (1, 3, 4):
        raise CoverError(f"The cover has {channels} channels; make it an RGB picture first.")
    if max(width, height) > LARGEST:
        raise CoverError(
            f"The cover has {width} x {height} pixels, and players take at most {LARGEST} a side; scale it "
            "down first."
        )
    return [_cover(picture) for picture in image.detach()]


def _cover(picture: Tensor) -> Cover:
    """One picture [H, W, C]."""
    from PIL import Image

    colours = picture[..., :3].float().nan_to_num(0).clamp(0, 1).mul(255).round().to(torch.uint8).cpu()
    colours = colours.expand(*colours.shape[:2], 3).contiguous()
    file = io.BytesIO()
    Image.fromarray(colours.numpy()).save(file, "JPEG", quality=QUALITY)
    if file.tell() > MOST_BYTES:
        raise CoverError(
            f"The cover takes {file.tell() / 1e6:.1f} MB, and a FLAC holds {MOST_BYTES / 1e6:.1f}; scale "
            "it down first."
        )
    return Cover(file.getvalue(), colours.shape[1], colours.shape[0])
