"""Keys and values kept as bytes: rounding, takes, and what becomes of logits and songs."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from support.scripted_models import any_conditions
from support.small_models import SMALL_LELM, filled
from torch import Tensor

from levo import tiny
from levo.layers import int8_attention
from levo.layers.attention import sdpa
from levo.lelm.compose import Execution, compose
from levo.lelm.kv_cache import SPAN, Int8Cache, KVCache
from levo.lelm.model import LeLM, rotary_table
from levo.memory import compose_bytes

ROWS, HEADS, WIDTH, PAST = 2, 3, 16, 40


@pytest.fixture(autouse=True)
def no_grad():
    with torch.inference_mode():
        yield


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def offset() -> Tensor:
    """What all keys have in common."""
    return 20 * random(ROWS, HEADS, 1, WIDTH, seed=9)


def growing(layers: int = 2) -> KVCache:
    """A cache with PAST positions, whose keys lie far from zero."""
    table = partial(rotary_table, head_width=WIDTH, theta=1e4, like=torch.empty(0))
    cache = KVCache(layers, ROWS, HEADS, SPAN, WIDTH, table)
    for layer in range(layers):
        both = random(2, ROWS, HEADS, PAST, WIDTH, seed=layer)
        both[0] += offset()
        cache.extend(layer, both)
    cache.advance(PAST)
    return cache


def relative(made: Tensor, exact: Tensor) -> float:
    return ((made.double() - exact.double()).norm() / exact.double().norm()).item()


def test_numbers_are_off_by_half_a_scale_at_most():
    x = random(4, 5, WIDTH) * torch.logspace(-6, 6, 5)[:, None]
    numbers, scale = int8_attention.quantise(x)
    assert numbers.dtype == torch.int8 and scale.shape == (4, 5)
    assert ((int8_attention.dequantise(numbers, scale, torch.float32) - x).abs() <= scale[..., None]).all()
    nothing = int8_attention.quantise(torch.zeros(1, WIDTH))
    assert not int8_attention.dequantise(*nothing, torch.float32).any()


@pytest.mark.parametrize("copies", [1, 3])
def test_a_step_attends_as_to_floats(copies: int):
    exact, small = growing().fixed(SPAN, copies), growing().fixed(SPAN, copies, small=True)
    assert isinstance(small, Int8Cache) and small.store.dtype == torch.int8
    for step in range(3):
        x = random(ROWS * copies, 1, HEADS * WIDTH, seed=step)
        turned = random(3, ROWS * copies, HEADS, 1, WIDTH, seed=10 + step)
        turned[1] += offset().repeat_interleave(copies, dim=0)
        seen = [cache.attend(0, turned, sdpa, cache.begin(x)[1].mask) for cache in (exact, small)]
        assert 0 < relative(seen[1], seen[0]) < 0.02
        for cache in (exact, small):
            cache.advance(1)


def test_keys_far_from_zero_keep_their_differences():
    cache = growing(1)
    keys = cache.store[0, 0, :, :, :PAST].clone()
    kept = cache.fixed(SPAN, small=True).store[0]
    assert kept.shape == (2, ROWS, HEADS, SPAN, WIDTH)
    around = keys - keys.mean(dim=2, keepdim=True)
    assert kept[0, ..., :PAST, :].abs().amax() == int8_attention.LEVELS
    assert (kept[0, ..., :PAST, :].float().std() / int8_attention.LEVELS) > 0.2  # of the whole range
    assert around.std() < keys.std() / 4


@pytest.mark.parametrize("takes", [1, 2])
def test_a_song_is_composed_with_bytes(takes: int):
    model = filled(LeLM(SMALL_LELM))
    conditions = any_conditions(SMALL_LELM)
    songs = compose(model, conditions, 40, seeds=range(takes), execution=Execution(small_cache=True))
    assert len(songs) == takes and all(song.codes.shape[1] == 3 for song in songs)
    again = compose(model, conditions, 40, seeds=range(takes), execution=Execution(small_cache=True))
    assert all(torch.equal(a.raw, b.raw) for a, b in zip(songs, again, strict=True))


@pytest.mark.parametrize("takes", [1, 4])
def test_bytes_are_asked_for_about_half_of_the_memory(takes: int):
    config = tiny.LELM
    plain, small = (compose_bytes(config, 6_000, 2, takes, 0, small) for small in (False, True))
    assert small < 0.85 * plain
