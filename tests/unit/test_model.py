"""LeLM's forward pass: caches, rotary positions, attention and precision."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from support.small_models import filled, random
from torch import Tensor

from levo import tiny
from levo.config import CODES, EMPTY, END, PROMPT_FRAMES
from levo.layers.attention import CacheMask, sdpa
from levo.lelm.conditions import Conditions
from levo.lelm.kv_cache import KVCache, factors
from levo.lelm.model import LeLM, rotary_table, rotate

CONFIG = replace(tiny.LELM, lyric_length=9, style_length=5)
LIKE = torch.zeros(())

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def model() -> LeLM:
    return filled(LeLM(CONFIG))


def asked() -> Conditions:
    generator = torch.Generator().manual_seed(2)
    prompt = torch.randint(0, CODES, (2, 3, PROMPT_FRAMES + 1), generator=generator)
    prompt[0, :, 0], prompt[1] = END, EMPTY
    lyric = torch.randint(0, 151_000, (2, 9), generator=generator)
    structure = torch.randint(1, 14, (2, 9), generator=generator)
    return Conditions(
        lyric, structure, prompt, torch.randint(0, 151_000, (2, 5), generator=generator), "", ""
    )


def some_codes(steps: int) -> Tensor:
    codes = torch.randint(0, CODES, (2, 3, steps), generator=torch.Generator().manual_seed(5))
    codes[:, :, 0] = EMPTY
    return codes


def one_pass(model: LeLM, codes: Tensor) -> Tensor:
    prefix = model.condition(asked())
    caches = model.caches(2, CONFIG.prefix_length + codes.shape[2], prefix.stage1)
    return model(codes, caches, prefix)


# Decoding ------------------------------------------------------------------------------------------------


def test_step_by_step_is_one_pass_over_everything(model):
    codes, prefix = some_codes(12), model.condition(asked())
    caches = model.caches(2, CONFIG.prefix_length + 12, prefix.stage1)
    for step in range(12):
        logits = model(codes[:, :, step : step + 1], caches, prefix if step == 0 else None)
        assert logits.shape == (2, 3, CODES + 1)
        torch.testing.assert_close(logits, one_pass(model, codes[:, :, : step + 1]), rtol=1e-4, atol=1e-4)
    assert {cache.length for cache in caches} == {CONFIG.prefix_length + 12}


@pytest.mark.parametrize("stream", range(3))
def test_an_early_code_is_remembered(model, stream):
    codes = some_codes(6)
    other = codes.clone()
    other[:, stream, 1] += 1
    change = (one_pass(model, codes) - one_pass(model, other)).abs().amax((0, 2))
    heard = [stream == 0, True, True]  # stage 1 hears the mixed stream alone
    assert [bool(c > 1e-6) for c in change] == heard


def test_guidance_rows_do_not_hear_each_other(model):
    codes = some_codes(4)
    other = codes.clone()
    other[1, :, 2] += 1
    torch.testing.assert_close(one_pass(model, codes)[0], one_pass(model, other)[0])


def test_the_song_hears_lyric_structure_prompt_and_style(model):
    codes, before = some_codes(2), asked()
    expected = one_pass(model, codes)
    for field in ("lyric", "structure", "prompt", "style"):
        changed = getattr(before, field).clone()
        changed[..., 3] -= 1
        prefix = model.condition(replace(before, **{field: changed}))
        logits = model(codes, model.caches(2, CONFIG.prefix_length + 2, prefix.stage1), prefix)
        assert float((logits - expected).abs().max()) > 1e-6, field


@pytest.mark.parametrize("track", range(3))
def test_each_stage_hears_its_own_prompt_tracks(model, track):
    codes, before = some_codes(2), asked()
    changed = before.prompt.clone()
    changed[0, track, 1:] = changed[0, track, 1:].flip(0)
    logits = []
    for request in (before, replace(before, prompt=changed)):
        prefix = model.condition(request)
        logits.append(model(codes, model.caches(2, CONFIG.prefix_length + 2, prefix.stage1), prefix))
    heard = (logits[0] - logits[1]).abs().amax((0, 2)) > 1e-6
    assert heard.tolist() == [track == 0, True, True]


def test_the_prefix_fills_its_positions(model):
    prefix = model.condition(asked())
    assert prefix.stage1.shape == prefix.stage2.shape == (2, CONFIG.prefix_length, CONFIG.width)
    around = [*range(9), *range(9 + 252, CONFIG.prefix_length)]
    assert torch.equal(prefix.stage1[:, around], prefix.stage2[:, around])
    assert not torch.isclose(prefix.stage1[0, 9:261], prefix.stage2[0, 9:261]).all(-1).any()


def test_attention_is_told_when_it_is_causal():
    calls: list[tuple[int, int, bool]] = []

    def spy(query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: CacheMask | None) -> Tensor:
        calls.append((query.shape[2], key.shape[2], causal))
        return sdpa(query, key, value, causal, mask)

    model = LeLM(CONFIG, attention=spy)
    tiny.init_weights(model)
    prefix, codes = model.condition(asked()), some_codes(2)
    caches = model.caches(2, CONFIG.prefix_length + 2, prefix.stage1)
    model(codes[:, :, :1], caches, prefix)
    model(codes[:, :, 1:], caches)
    first, layers = CONFIG.prefix_length + 1, CONFIG.layers + CONFIG.layers_sub
    assert calls == [(first, first, True)] * layers + [(1, first + 1, False)] * layers


# Caches --------------------------------------------------------------------------------------------------


def cache_of(layers: int, capacity: int) -> KVCache:
    return KVCache(layers, 1, 1, capacity, 2, partial(rotary_table, head_width=2, theta=1e4, like=LIKE))


def test_cache_gives_past_and_present():
    cache = cache_of(layers=2, capacity=5)
    old, new = random(2, 1, 1, 3, 2), random(2, 1, 1, 2, 2, seed=1)
    cache.extend(1, old)
    cache.advance(3)
    keys, values = cache.extend(1, new)
    assert torch.equal(keys, torch.cat((old[0], new[0]), dim=2))
    assert torch.equal(values, torch.cat((old[1], new[1]), dim=2))


def test_a_full_cache_refuses_the_next_position():
    cache = cache_of(layers=1, capacity=3)
    cache.begin(random(1, 3, 2))
    cache.advance(3)
    with pytest.raises(IndexError, match="3 positions, 4 are needed"):
        cache.begin(random(1, 1, 2))


def test_the_model_refuses_to_run_past_its_caches(model):
    prefix, codes = model.condition(asked()), some_codes(2)
    caches = model.caches(2, CONFIG.prefix_length + 1, prefix.stage1)
    model(codes[:, :, :1], caches, prefix)
    with pytest.raises(IndexError):
        model(codes[:, :, 1:], caches)


# Parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("positions", "causal"), [(7, True), (7, False), (1, False)])
def test_attention_is_the_weighted_mean_of_values(positions, causal):
    query, key, value = random(2, 3, positions, 8), random(2, 3, 7, 8, seed=1), random(2, 3, 7, 8, seed=2)
    scores = query @ key.transpose(2, 3) / 8**0.5
    if causal:
        scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf)
    expected = (scores.softmax(-1) @ value).transpose(1, 2).reshape(2, positions, 24)
    torch.testing.assert_close(sdpa(query, key, value, causal), expected)


def test_rotation_keeps_lengths_and_moves_all_queries_and_keys_but_the_first():
    x = random(1, 6, 3, 2, 8)
    turned = rotate(x, factors(rotary_table(0, 6, 8, 1e4, LIKE)))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, 0], x[:, 0])
    assert torch.equal(turned[:, :, 2], x[:, :, 2])
    assert not torch.isclose(turned[:, 1:, :2], x[:, 1:, :2]).all(-1).any()


def test_rotation_shows_only_the_distance():
    x = random(1, 1, 3, 1, 8)

    def score(at: int, other: int) -> float:
        (query, _), (_, key) = (
            rotate(x, factors(rotary_table(position, 1, 8, 1e4, LIKE)))[0, 0, :2, 0]
            for position in (at, other)
        )
        return float((query * key).sum())

    assert score(5, 2) == pytest.approx(score(103, 100), abs=1e-5)
    assert score(5, 2) != pytest.approx(score(6, 2), abs=1e-3)
    assert score(5, 2) != pytest.approx(score(2, 5), abs=1e-3)


def test_rotation_pairs_an_element_with_the_one_half_further():
    x = torch.zeros(1, 1, 3, 1, 8)
    x[..., 1] = 1
    turned = rotate(x, factors(rotary_table(3, 1, 8, 1e4, LIKE)))[0, 0, 0, 0]
    angle = torch.tensor(3 * 1e4 ** (-2 / 8))
    expected = torch.zeros(8)
    expected[1], expected[5] = angle.cos(), angle.sin()
    torch.testing.assert_close(turned, expected)


def test_a_table_may_start_anywhere():
    whole, part = rotary_table(0, 9, 8, 1e4, LIKE), rotary_table(4, 5, 8, 1e4, LIKE)
    assert torch.equal(whole[4:], part)


def test_bfloat16_stays_near_float32(model):
    small = LeLM(CONFIG, dtype=torch.bfloat16)
    small.load_state_dict(model.state_dict())
    expected, logits = one_pass(model, some_codes(5)), one_pass(small, some_codes(5))
    assert logits.dtype == torch.bfloat16
    error = (logits.float() - expected).std() / expected.std()
    assert 0 < error < 0.05
