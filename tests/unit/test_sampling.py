"""One step's choice of codes: guidance, repetition, and draws that follow the distribution exactly."""

from __future__ import annotations

import pytest
import torch

from levo.config import CODES, EMPTY, END
from levo.lelm.sampling import guide, keys, likeliest, nucleus, penalise_repetition, sample

LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.1, -float("inf"), 0.9, -3.0, 1.7])
BEST = 1
BELOW_ONE = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))


def chance(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float32)


def shares(
    logits: torch.Tensor, temperature: float, top_k: int = CODES, top_p: float = 0.0
) -> torch.Tensor:
    """How often each code is drawn when the chance runs evenly from 0 to 1."""
    grid = (torch.arange(4_000) + 0.5) / 4_000
    drawn = sample(logits.expand(len(grid), -1), grid, temperature, top_k, top_p)
    return torch.bincount(drawn, minlength=logits.numel()) / grid.numel()


def test_guidance_leads_away_from_the_null_row():
    logits = torch.tensor([[[3.0, 1.0]], [[1.0, 2.0]]])
    assert guide(logits, 1.5).tolist() == [[4.0, 0.5]]
    assert guide(logits, 1.0).tolist() == [[3.0, 1.0]]
    assert guide(logits, 0.0).tolist() == [[1.0, 2.0]]


def test_recent_codes_are_divided_also_when_negative():
    logits = torch.zeros(2, CODES + 1)
    logits[:, 5], logits[:, 6], logits[:, 7] = 2.2, -2.2, 4.0
    out = penalise_repetition(logits, torch.tensor([[5, 6, 5], [7, 7, 7]]), 1.1)
    torch.testing.assert_close(out[0, 5:8], torch.tensor([2.0, -2.0, 4.0]))
    torch.testing.assert_close(out[1, 5:8], torch.tensor([2.2, -2.2, 4.0 / 1.1]))


def test_end_and_empty_are_never_discouraged():
    logits = torch.full((1, CODES + 1), 2.0)
    out = penalise_repetition(logits, torch.tensor([[END, EMPTY, 0, CODES - 1]]), 2.0)
    changed = (out != logits).nonzero()[:, 1].tolist()
    assert changed == [0, CODES - 1]
    assert out[0, END] == 2.0


def test_nothing_recent_changes_nothing():
    logits = torch.randn(3, CODES + 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(penalise_repetition(logits, torch.zeros(3, 0, dtype=torch.int64), 1.1), logits)


@pytest.mark.parametrize("temperature", [0.5, 0.8, 1.0, 2.0])
def test_codes_are_drawn_as_often_as_softmax_says(temperature):
    expected = torch.softmax(LOGITS / temperature, dim=-1)
    assert (shares(LOGITS, temperature) - expected).abs().max() < 1e-3


def test_top_k_keeps_the_likeliest_in_proportion():
    kept = torch.zeros(8)
    kept[[1, 7, 3]] = torch.softmax(LOGITS[[1, 7, 3]] / 0.8, dim=-1)
    found = shares(LOGITS, 0.8, top_k=3)
    assert (found - kept).abs().max() < 1e-3
    assert set(found.nonzero().flatten().tolist()) == {1, 3, 7}


@pytest.mark.parametrize(
    ("top_p", "size"), [(0.05, 1), (0.35, 1), (0.6, 2), (0.75, 3), (0.97, 5), (0.999, 7)]
)
def test_top_p_keeps_the_smallest_set_that_holds_it(top_p, size):
    probabilities, order = torch.softmax(LOGITS, dim=-1).sort(descending=True)
    assert probabilities[:size].sum() >= top_p > probabilities[: size - 1].sum()  # the set meant
    kept = torch.zeros(8)
    kept[order[:size]] = probabilities[:size] / probabilities[:size].sum()
    assert (shares(LOGITS, 1.0, top_k=1, top_p=top_p) - kept).abs().max() < 1e-3


def test_a_set_that_holds_top_p_exactly_is_enough():
    assert nucleus(torch.tensor([0.5, 0.25, 0.25]), 0.5).tolist() == [0.5, 0, 0]


def test_top_p_of_one_keeps_everything():
    probabilities = torch.softmax(torch.linspace(3, 0, 50), dim=-1)
    assert torch.equal(nucleus(probabilities, 1.0), probabilities)


@pytest.mark.parametrize(("temperature", "top_k"), [(0.0, 5_000), (0.8, 1), (0.0, 1)])
@pytest.mark.parametrize("value", [0.0, 0.5, 0.999])
def test_no_temperature_or_one_choice_is_the_likeliest_code(temperature, top_k, value):
    assert sample(LOGITS, chance(value), temperature, top_k, 0.0) == BEST


@pytest.mark.parametrize(("top_k", "top_p"), [(3, 0.0), (CODES, 0.6), (CODES, 0.0)])
def test_the_ends_of_the_chance_stay_inside_the_kept_set(top_k, top_p):
    least = {(3, 0.0): 3, (CODES, 0.6): 7, (CODES, 0.0): 6}[top_k, top_p]
    assert sample(LOGITS, chance(0.0), 1.0, top_k, top_p) == BEST
    assert sample(LOGITS, BELOW_ONE, 1.0, top_k, top_p) == least


def test_banned_codes_are_not_drawn_even_when_all_may_be():
    logits = torch.full((CODES + 1,), -torch.inf)
    logits[[3, 900]] = 0.0
    drawn = {int(sample(logits, c, 0.8, 5_000, 0.0)) for c in (chance(0.0), chance(0.7), BELOW_ONE)}
    assert drawn == {3, 900}


def test_the_same_chance_draws_the_same_code_in_any_order_of_codes():
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    for value in torch.linspace(0, 0.99, 50):
        assert order[sample(LOGITS[order], value, 0.8, 5_000, 0.0)] == sample(
            LOGITS, value, 0.8, 5_000, 0.0
        )


# ------------------------------------------------------------------ equal logits


def test_of_equal_logits_the_lower_code_comes_first():
    logits = torch.tensor([[0.0, 2.0, -1.0, 2.0, 2.0], [-0.0, 0.0, -5.0, 0.0, -5.0]])
    assert likeliest(logits).tolist() == [1, 0]
    ranked = keys(logits).sort(descending=True).indices
    assert ranked.tolist() == [[1, 3, 4, 0, 2], [0, 1, 3, 2, 4]]


def test_draws_go_through_equal_logits_in_the_order_of_codes():
    logits = torch.zeros(8)
    logits[3] = 1
    weights = logits.exp()
    order = [3, 0, 1, 2, 4, 5, 6, 7]
    ends = (weights[order] / weights.sum()).cumsum(0)
    middles = ends - weights[order] / weights.sum() / 2
    assert [sample(logits, c, 1.0, CODES, 0.0).item() for c in middles] == order
    assert [sample(logits, c, 1.0, 3, 0.0).item() for c in (chance(0.0), BELOW_ONE)] == [3, 1]


def test_keys_have_the_order_of_logits_in_half_precision_too():
    logits = torch.randn(3, CODES + 1, generator=torch.Generator().manual_seed(0)).half()
    logits[:, ::7] = -torch.inf
    made = keys(logits)
    assert all(row.unique().numel() == CODES + 1 for row in made)
    ranked = made.sort(descending=True).indices
    assert torch.equal(ranked, logits.float().sort(descending=True, stable=True).indices)


def test_what_is_no_number_still_gives_a_code():
    logits = torch.full((CODES + 1,), torch.nan)
    assert 0 <= likeliest(logits).item() <= CODES
    assert 0 <= sample(logits, chance(0.5), 0.8, 5_000, 0.0).item() <= CODES
