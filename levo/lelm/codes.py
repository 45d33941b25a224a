"""Which numbers are codes: looked at before they reach a device, where a wrong index ends the process."""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import CODES, EMPTY, described

STREAMS = 3
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class CodesError(ValueError):
    """Why numbers are no codes, in one sentence."""


def codes_of(numbers: object, what: str) -> Tensor:
    """Codes [B, 3, frames] as int64 on the CPU.

    Args:
        numbers: whatever stands for them.
        what: for messages, such as "The style".

    Raises:
        CodesError: no plain tensor of whole numbers of that shape, or with one that is neither 0 to 16383
            nor EMPTY.
    """
    advice = "make or load it again"
    if not isinstance(numbers, Tensor):
        raise CodesError(f"{what} has codes that are no tensor but {described(numbers)}; {advice}.")
    kind = str(numbers.dtype).removeprefix("torch.")
    if numbers.layout != torch.strided or numbers.is_nested or numbers.is_meta:
        raise CodesError(f"{what} has codes that are stored in no plain tensor; {advice}.")
    if numbers.dtype not in INTEGERS:
        raise CodesError(f"{what} holds numbers that are no codes ({kind}, not int64); {advice}.")
    if numbers.ndim != 3 or numbers.shape[1] != STREAMS or not numbers.numel():
        raise CodesError(
            f"{what} has codes of the shape {list(numbers.shape)}; it needs [takes, {STREAMS}, frames], so "
            f"{advice}."
        )
    codes = numbers.detach().cpu().long()
    wrong = codes[~are_codes(codes) & (codes != EMPTY)]
    if len(wrong):
        raise CodesError(
            f"{what} holds numbers that are no codes, such as {wrong[0].item()} where 0 to {CODES - 1} "
            f"belong; {advice}."
        )
    return codes


def are_codes(codes: Tensor) -> Tensor:
    """Where an int64 tensor holds codes that sound: not END, not EMPTY."""
    return (codes >= 0) & (codes < CODES)
