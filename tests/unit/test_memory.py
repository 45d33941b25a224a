"""The bytes that a run asks ComfyUI for cover what it takes."""

from __future__ import annotations

import pytest
import torch

from levo import tiny
from levo.config import RELEASED, RendererConfig, VaeConfig
from levo.lelm.delay import steps_for
from levo.lelm.model import LeLM
from levo.memory import compose_bytes, decode_bytes, render_bytes


def cache_bytes(config, frames: int, dtype: torch.dtype) -> int:
    model = LeLM(config, device="meta")
    like = torch.zeros(1, device="meta", dtype=dtype)
    capacity = config.prefix_length + steps_for(frames, config.delays)
    return sum(
        cache.store.numel() * cache.store.element_size() for cache in model.caches(2, capacity, like)
    )


@pytest.mark.parametrize("config", [*RELEASED.values(), tiny.LELM])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_composing_asks_for_the_cache_and_some_activations(config, dtype: torch.dtype):
    frames = round(config.max_seconds * 25)
    cache = cache_bytes(config, frames, dtype)
    asked = compose_bytes(config, frames, dtype.itemsize)
    assert cache < asked < cache + 500_000_000


def test_a_longer_song_asks_for_more():
    config = RELEASED["v2-medium"]
    assert compose_bytes(config, 2_000, 2) < compose_bytes(config, 2_001, 2)


def test_rendering_and_decoding_ask_by_size_and_number_format():
    assert render_bytes(RendererConfig(), 4, rows=4) == 2 * render_bytes(RendererConfig(), 4)
    assert decode_bytes(VaeConfig(), 4) == 2 * decode_bytes(VaeConfig(), 2)
    # At least the two copies of the widest layer that a residual unit holds.
    assert decode_bytes(VaeConfig(), 4) > 2 * 128 * 128 * 1_920 * 4
