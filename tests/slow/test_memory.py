"""The bytes that a run asks ComfyUI for cover what it takes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from bench.composing import random_conditions
from support.peak_memory import peak
from support.scripted_models import any_conditions
from support.small_models import WIDER_LELM, filled
from torch import nn

from levo import tiny
from levo.config import (
    RELEASED_CONFIGS,
    RendererConfig,
    Sampling,
    SeparatorConfig,
    StyleEncoderConfig,
    VaeConfig,
)
from levo.lelm.compose import BatchRun, compose
from levo.lelm.delay import steps_for
from levo.lelm.model import LeLM
from levo.lelm.takes import SongInput
from levo.memory import (
    chunk_frames,
    compose_bytes,
    decode_bytes,
    encode_bytes,
    render_bytes,
    separate_bytes,
)
from levo.renderer.model import Renderer
from levo.renderer.solver import solve
from levo.separator.model import build
from levo.style_encoder.encode import StyleEncoder
from levo.vae.oobleck import Vae


def cache_bytes(config, frames: int, dtype: torch.dtype) -> int:
    model = LeLM(config, device="meta")
    like = torch.zeros(1, device="meta", dtype=dtype)
    capacity = config.prefix_length + steps_for(frames, config.delays)
    return sum(
        cache.store.numel() * cache.store.element_size() for cache in model.caches(2, capacity, like)
    )


@pytest.mark.parametrize("config", [*RELEASED_CONFIGS.values(), tiny.LELM])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_composing_asks_for_the_cache_and_some_activations(config, dtype: torch.dtype):
    frames = round(config.max_seconds * 25)
    cache = cache_bytes(config, frames, dtype)
    asked = compose_bytes(config, frames, dtype.itemsize)
    assert cache < asked < 1.05 * cache + 500_000_000  # the cache is read in spans


def test_a_longer_song_asks_for_more_and_so_does_a_longer_part_that_is_kept():
    config = RELEASED_CONFIGS["v2-medium"]
    assert compose_bytes(config, 2_000, 2) < compose_bytes(config, 2_300, 2)
    for takes in (1, 4):
        without, kept = (compose_bytes(config, 2_000, 2, takes, frames) for frames in (0, 1_000))
        assert without < kept


# Rendering and decoding ----------------------------------------------------------------------------------


def blank(model: nn.Module) -> nn.Module:
    """A model of zeros, which is made in no time."""
    model.to_empty(device="cpu")
    for tensor in model.parameters():
        tensor.zero_()
    return model


class Enough(Exception):
    """Stops a song once the prefill and some steps have run."""


@pytest.mark.parametrize(
    ("width", "inner", "layers", "frames"),
    [(256, 1024, 1, 2_000), (128, 2048, 4, 500), (512, 2048, 1, 100)],
)
@pytest.mark.parametrize(("dtype", "takes"), [(torch.float32, 3), (torch.bfloat16, 1)])
@pytest.mark.usefixtures("inference")
def test_composing_asks_for_what_prefill_and_steps_take(width, inner, layers, frames, dtype, takes):
    sizes = {"width": width, "inner": inner, "heads": width // 128, "layers": layers, "layers_sub": 1}
    config = replace(RELEASED_CONFIGS["v2-medium"], **sizes)
    model = blank(LeLM(config, device="meta", dtype=dtype))
    conditions = random_conditions(config)

    def on_step(done: int, total: int) -> None:
        if done == 3:
            raise Enough

    def run() -> None:
        with suppress(Enough):
            compose(model, conditions, frames, Sampling(), range(takes), on_step=on_step)

    asked = compose_bytes(config, frames, dtype.itemsize, takes)
    assert asked == pytest.approx(peak(run), rel=0.15)


@pytest.mark.parametrize(("takes", "kept"), [(1, 1_000), (1, 2_500), (2, 4_000)])
@pytest.mark.usefixtures("inference")
def test_composing_songs_asks_for_what_the_prefill_of_the_last_takes(takes: int, kept: int):
    model, frames = filled(LeLM(WIDER_LELM)), kept + 1
    begun = torch.zeros(1, 3, kept, dtype=torch.int64)
    songs = [SongInput(any_conditions(WIDER_LELM), frames, range(takes), begun) for _ in range(3)]

    def run() -> None:
        with BatchRun(model, songs) as batch:
            while batch.step():
                pass

    asked = compose_bytes(WIDER_LELM, frames, 4, 3 * takes, kept, songs=3)
    assert asked == pytest.approx(peak(run), rel=0.15)


@pytest.mark.parametrize("frames", [40, 120])
@pytest.mark.parametrize("guidance", [1.0, 1.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.usefixtures("inference")
def test_rendering_asks_for_what_a_window_takes(frames: int, guidance: float, dtype: torch.dtype):
    config = RendererConfig(layers=1, window=frames)
    model = blank(Renderer(config, device="meta", dtype=dtype))
    codes, noise = torch.zeros(1, frames, dtype=torch.int64), torch.zeros(1, frames, 64)

    def run() -> None:
        solve(model, model.condition(codes, codes), noise, noise[:, :0], 2, guidance)

    asked = render_bytes(config, dtype.itemsize, rows=2 if guidance != 1 else 1)
    assert asked == pytest.approx(peak(run), rel=0.25)


@pytest.mark.parametrize(("channels", "frames"), [(64, 10), (16, 64), (16, 128)])
@pytest.mark.usefixtures("inference")
def test_decoding_asks_for_what_a_chunk_takes(channels: int, frames: int):
    config = VaeConfig(channels=channels)
    model = blank(Vae(config, device="meta"))
    latents = torch.zeros(1, config.latent, frames)
    assert decode_bytes(config, 4, frames) == pytest.approx(peak(lambda: model.decode(latents)), rel=0.25)


def test_rendering_and_decoding_ask_by_size_and_number_format():
    assert render_bytes(RendererConfig(), 2) < render_bytes(RendererConfig(), 4)
    assert decode_bytes(VaeConfig(), 4) == 2 * decode_bytes(VaeConfig(), 2)
    assert decode_bytes(VaeConfig(), 4) == decode_bytes(VaeConfig(), 4, 128)


def test_cuda_asks_for_what_its_kernels_take():
    """Measured on an H200: 4.5 and 2.7 GB for a window of the VAE, 0.52 GB for one of the renderer."""
    assert decode_bytes(VaeConfig(), 4, 1_000, cuda=True) == pytest.approx(4.5e9, rel=0.1)
    assert decode_bytes(VaeConfig(), 2, 1_000, cuda=True) == pytest.approx(2.7e9, rel=0.1)
    assert render_bytes(RendererConfig(), 4, cuda=True) == pytest.approx(0.52e9, rel=0.1)
    assert render_bytes(RendererConfig(), 2, cuda=True) == render_bytes(RendererConfig(), 2)


@pytest.mark.parametrize("free", [10, 64, 999, 1_000, 10**9])
def test_a_chunk_is_the_longest_that_fits(free: int):
    frames = chunk_frames(each=2_000, most=1_000, free=free, least=64)
    assert frames in (64, 1_000) or 2 * frames <= free < 2 * (frames + 1)
    assert (frames == 64) == (free < 130) and (frames == 1_000) == (free >= 2_000)


@pytest.mark.parametrize("config", [SeparatorConfig(segment=Fraction(1)), tiny.SEPARATOR])
@pytest.mark.usefixtures("inference")
def test_splitting_asks_for_what_a_window_takes(config: SeparatorConfig):
    model, window = blank(build(config)), torch.zeros(1, 2, config.window)
    taken = peak(lambda: model(window))
    assert taken < separate_bytes(config) < 2 * taken


@pytest.mark.parametrize("samples", [480_000, 100_001], ids=["whole frames", "not whole"])
@pytest.mark.usefixtures("inference")
def test_encoding_asks_for_what_a_clip_takes(samples: int):
    # As with 512 channels, the convolutions take most; oneDNN makes sixteen channels of the sound before.
    config = StyleEncoderConfig(("mixed",), (1,), width=128, inner=256, heads=2, channels=192)
    encoder, clip = blank(StyleEncoder(config)), torch.zeros(1, samples)
    taken = peak(lambda: encoder(clip, "mixed"))
    assert taken < encode_bytes(config, samples) < 3 * taken
