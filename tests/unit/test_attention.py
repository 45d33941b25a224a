"""Every way to attend against the definition in fp32, and when flash-attn is taken.

flash-attn itself needs a card: a stand-in with its documented calls takes its place.
"""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from support import flash_stand_in
from support.flash_stand_in import softmax_attention
from torch import Tensor

from levo.layers import attention
from levo.layers.attention import Flash, flash_package, flash_refusal, matmul_attention, sdpa
from levo.lelm.kv_cache import SPAN, FixedCache, KVCache

WAYS = {"sdpa": sdpa, "matmul_attention": matmul_attention, "flash_attn": Flash(flash_stand_in.package())}
LIMITS = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
ROWS, HEADS, WIDTH = 2, 3, 16
CUDA = torch.device("cuda")


def numbers(count: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Query, key and value [3, B, heads, T, head width]."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(3, ROWS, HEADS, count, WIDTH, generator=random).to(dtype)


def defined(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """[B, T, heads * head width] in fp32, with `visible` [T of query, T of key]."""
    turned = (x.float().transpose(1, 2) for x in (query, key, value))
    return softmax_attention(*turned, visible.expand(ROWS, -1, -1), WIDTH**-0.5).flatten(2)


@pytest.mark.parametrize("causal", [True, False], ids=["prefill", "renderer"])
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("way", WAYS)
def test_dense_attention_is_the_defined_one(way: str, dtype: torch.dtype, causal: bool):
    query, key, value = numbers(37, dtype)
    visible = torch.ones(37, 37, dtype=torch.bool)
    expected = defined(query, key, value, visible.tril() if causal else visible)
    made = WAYS[way](query, key, value, causal)
    assert (made.dtype, made.shape) == (dtype, expected.shape)
    torch.testing.assert_close(made.float(), expected, rtol=0, atol=LIMITS[dtype])


@pytest.mark.parametrize("past", [0, 5, SPAN - 1, SPAN, 2 * SPAN - 1])
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("way", WAYS)
def test_a_step_over_a_fixed_cache_attends_to_what_was_written(way: str, dtype: torch.dtype, past: int):
    query, keys, values = numbers(2 * SPAN, dtype)
    both = torch.stack((keys, values))
    cache = fixed_cache(both[:, :, :, :past])
    cache.store[..., past + 1 :, :] = 7  # what lies beyond must not be heard
    _, shared = cache.begin(query[:, :, :1].transpose(1, 2).flatten(2))
    present = cache.extend(0, both[:, :, :, past : past + 1])
    made = WAYS[way](query[:, :, :1], *present, False, shared.mask)
    seen = (x[:, :, : past + 1] for x in (keys, values))
    expected = defined(query[:, :, :1], *seen, torch.ones(1, past + 1, dtype=torch.bool))
    torch.testing.assert_close(made.float(), expected, rtol=0, atol=LIMITS[dtype])


def fixed_cache(past: Tensor, layers: int = 1) -> FixedCache:
    """A cache that holds keys and values [2, B, heads, T, head width] in its last layer."""

    def rotary(start: int, count: int) -> Tensor:
        return torch.zeros(count, 2, WIDTH, dtype=past.dtype)

    cache = KVCache(layers, ROWS, HEADS, 2 * SPAN, WIDTH, rotary, dtype=past.dtype)
    cache.extend(layers - 1, past)
    cache.advance(past.shape[3])
    return cache.fixed(2 * SPAN)


def test_flash_attn_reads_the_cache_where_it_lies():
    seen = {}

    class Watch(ModuleType):
        def flash_attn_with_kvcache(self, q: Tensor, k_cache: Tensor, v_cache: Tensor, **how) -> Tensor:
            seen.update(how, places=(k_cache.data_ptr(), v_cache.data_ptr()), shape=k_cache.shape)
            return q

    query, *both = numbers(1, torch.float32)
    cache = fixed_cache(torch.stack(both)[:, :, :, :0], layers=2)
    _, shared = cache.begin(query.transpose(1, 2).flatten(2))
    keys, values = cache.extend(1, torch.stack(both))
    Flash(Watch("watch"))(query, keys, values, False, shared.mask)
    assert seen["places"] == (cache.store[1, 0].data_ptr(), cache.store[1, 1].data_ptr())
    assert seen["shape"] == (ROWS, SPAN, HEADS, WIDTH)
    assert seen["cache_seqlens"].tolist() == [1] * ROWS


def test_the_stand_in_writes_new_keys_and_values_into_the_cache():
    query, keys, values = (x.transpose(1, 2) for x in numbers(8, torch.float32))
    cache = [torch.zeros_like(keys), torch.zeros_like(values)]
    cache[0][:, :5], cache[1][:, :5] = keys[:, :5], values[:, :5]
    lengths = torch.full((ROWS,), 5, dtype=torch.int32)
    new = keys[:, 5:6], values[:, 5:6]
    call = flash_stand_in.flash_attn_with_kvcache
    made = call(query[:, :1], *cache, *new, cache_seqlens=lengths)
    assert torch.equal(cache[0][:, :6], keys[:, :6])
    assert torch.equal(made, call(query[:, :1], keys, values, cache_seqlens=lengths + 1))
    assert lengths.tolist() == [5] * ROWS


# When it is taken ----------------------------------------------------------------------------------------


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_flash_attn_fits_half_precision_on_a_card(dtype: torch.dtype):
    assert flash_refusal(CUDA, dtype, 128) is None
    assert flash_refusal(CUDA, dtype, 256) is None


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("device", "dtype", "width", "reason"),
    [
        ("cpu", torch.bfloat16, 128, "CUDA cards alone, and this device is cpu"),
        ("mps", torch.float16, 128, "CUDA cards alone, and this device is mps"),
        ("cuda", torch.float32, 128, "bf16 and fp16 alone"),
        ("cuda", torch.bfloat16, 264, "at most 256 wide, and these are 264"),
    ],
)
def test_what_flash_attn_cannot_do_is_said(device: str, dtype: torch.dtype, width: int, reason: str):
    assert reason in flash_refusal(torch.device(device), dtype, width)


def test_an_old_card_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "Ampere" in flash_refusal(CUDA, torch.float16, 128)


def test_where_it_does_not_fit_another_attends(monkeypatch: pytest.MonkeyPatch):
    query, key, value = numbers(4, torch.float32)
    attend = Flash(ModuleType("empty"), otherwise=sdpa)  # would fail if it were called
    assert torch.equal(attend(query, key, value, True), sdpa(query, key, value, True))
    monkeypatch.setattr(attention, "flash_refusal", lambda *tensor: None)
    with pytest.raises(AttributeError):
        attend(query, key, value, True)


@pytest.mark.parametrize("module", [None, ModuleType(flash_stand_in.REAL)], ids=["missing", "too old"])
def test_a_package_that_is_not_there_or_too_old_is_none(monkeypatch: pytest.MonkeyPatch, module):
    monkeypatch.setitem(sys.modules, flash_stand_in.REAL, module)
    assert flash_package() is None


def test_a_package_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch):
    package = flash_stand_in.package()
    monkeypatch.setitem(sys.modules, flash_stand_in.REAL, package)
    assert flash_package() is package
