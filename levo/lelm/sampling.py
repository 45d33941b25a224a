"""From logits to codes: guidance, repetition, top-k and top-p, one draw a step.

Small pure functions on [..., codes] tensors; randomness comes in as numbers between 0 and 1, drawn
beforehand by CPU generators, so that every device takes the same decisions. Half precision makes many
logits equal, and CUDA then takes now one and now the other: of equal ones the lower code comes first, on
every device and every time. Nothing here waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import CODES

CODE_BITS = 15  # of a key; CODES + 1 numbers need them
LAST = (1 << CODE_BITS) - 1


def guide(logits: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv:2207.12598) of rows [conditional, null]."""
    conditional, null = logits
    return null + scale * (conditional - null)


def penalise_repetition(logits: Tensor, recent: Tensor, divisor: float) -> Tensor:
    """Divide the logit of every code among `recent`, also a negative one, as the models were tuned with.

    Args:
        logits: [..., CODES + 1].
        recent: [..., window] codes placed last; END and EMPTY are left alone.
    """
    seen = torch.zeros(*logits.shape[:-1], CODES + 2, dtype=torch.bool, device=logits.device)
    seen.scatter_(-1, recent, True)
    seen[..., CODES:] = False
    return torch.where(seen[..., : logits.shape[-1]], logits / divisor, logits)


def keys(logits: Tensor) -> Tensor:
    """Whole numbers [..., codes] in the order of logits in float32, no two of a row the same.

    The upper bits are the logit's, as the whole number that has its order; the lower ones count codes down.
    """
    bits = (logits.float() + 0.0).view(torch.int32)  # -0 becomes 0
    ordered = torch.where(bits < 0, bits ^ torch.iinfo(torch.int32).max, bits)
    codes = torch.arange(LAST, LAST - logits.shape[-1], -1, device=logits.device)
    return (ordered.long() << CODE_BITS) | codes


def codes_of(chosen: Tensor) -> Tensor:
    """The codes whose keys these are."""
    return LAST - (chosen & LAST)


def likeliest(logits: Tensor) -> Tensor:
    """[...] int64: the code with the largest of [..., codes] logits, the first of equal ones."""
    return codes_of(keys(logits).amax(-1))


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Zero sorted probabilities beyond the smallest set that holds `top_p` (arXiv:1904.09751)."""
    before = probabilities.double().cumsum(-1) - probabilities
    return probabilities.masked_fill(before >= top_p, 0)


def sample(logits: Tensor, chance: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """One code from each [..., codes] of logits by inverting the cumulative distribution at `chance`.

    Args:
        logits: [..., codes].
        chance: [...] in [0, 1).
        temperature: divides the logits; 0 takes the likeliest code.
        top_k: 1 or more; how many of the likeliest codes may be drawn.
        top_p: above 0, the share of probability that may be drawn, in place of `top_k`.

    Returns:
        [...] int64.
    """
    if temperature == 0 or (top_k == 1 and top_p == 0):
        return likeliest(logits)
    keep = logits.shape[-1] if top_p > 0 else min(top_k, logits.shape[-1])
    order = codes_of(keys(logits).topk(keep).values)
    probabilities = torch.softmax(logits.gather(-1, order) / temperature, dim=-1)
    if top_p > 0:
        probabilities = nucleus(probabilities, top_p)
    # CUDA sums in an order of its own each time; of doubles nothing is seen of it.
    cumulative = probabilities.double().cumsum(-1)
    place = torch.searchsorted(cumulative, chance[..., None] * cumulative[..., -1:], right=True)
    # Rounding must not lead off the end or onto a zeroed code. The first code always counts: where logits
    # are no numbers, an index that is none would end the process on a card, before anybody is told.
    last = (probabilities[..., 1:] > 0).sum(-1, keepdim=True)
    return order.gather(-1, torch.minimum(place, last))[..., 0]
