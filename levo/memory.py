"""How many bytes a run needs beside the weights, from the sizes of the models."""

from __future__ import annotations

from .config import CODES, LelmConfig, RendererConfig, VaeConfig
from .lelm.delay import steps_for


def compose_bytes(config: LelmConfig, frames: int, item: int, rows: int = 2) -> int:
    """Keys and values of both stages for a whole song, and the widest activations of the prefill.

    Args:
        config: of LeLM.
        frames: the limit of the song.
        item: bytes of one number.
        rows: 2 with guidance.
    """
    positions = config.prefix_length + steps_for(frames, config.delays)
    cache = 2 * (config.layers + config.layers_sub) * config.width * positions * rows * item
    # At the widest point a block holds its input, the fused gate and up, and their product.
    prefill = (4 * config.width + 3 * config.inner) * config.prefix_length * rows * item
    return cache + prefill + 8 * 3 * CODES * rows * item


def render_bytes(config: RendererConfig, item: int, rows: int = 2) -> int:
    """Activations of one window: input, modulated input, fused query, key and value, and the MLP."""
    return (7 * config.width + 2 * config.inner) * config.window * rows * item


def decode_bytes(config: VaeConfig, item: int) -> int:
    """Activations of one chunk at the waveform's end of the decoder, where they are largest."""
    return 4 * config.channels * config.chunk * config.ratio * item
