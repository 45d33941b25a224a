"""Attention of a step to bytes by Triton kernels, on a CUDA card; see `int8_attention`."""

from __future__ import annotations

import logging
from functools import cache, partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import int8_attention, quantised, quantised_triton

log = logging.getLogger(__name__)

RUN, BLOCK = 256, 64  # positions of a program, and how many it reads at a time
ERROR = 0.01  # of what is attended to, at most, where the kernels are tried


@cache
def is_available(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Whether the kernels give what they should on a device; says in the log if they do not.

    Waits for the device, once.

    Args:
        device: of the cache.
        dtype: of queries.
        width: of heads.
    """
    if dtype == torch.float32 or not quantised_triton.is_available(device):
        return False
    reason = quantised.refusal(partial(_is_right, device, dtype, width))
    if reason is not None:
        log.warning("The kernel that attends to int8 cannot be used here (%s): steps are slower.", reason)
    return reason is None


def _is_right(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    rows, heads, capacity, length = 2, 3, 2 * RUN, RUN + 7
    random = torch.Generator().manual_seed(0)
    past = torch.randn(2, rows, heads, capacity, width, generator=random)
    numbers, scales = (tensor.to(device) for tensor in int8_attention.quantise(past))
    means = torch.randn(rows, heads, width, generator=random).to(device)
    turned = torch.randn(3, rows, heads, 1, width, generator=random).to(device, dtype)
    lengths = torch.full((rows,), length, dtype=torch.int32, device=device)
    attended = attend(turned, numbers, scales, means, lengths, capacity).float()
    seen = int8_attention.dequantise(numbers, scales, torch.float32)[..., :length, :]
    scores = turned[0].float() @ seen[0].transpose(2, 3) * width**-0.5
    exact = (scores.softmax(-1) @ seen[1]).transpose(1, 2).flatten(2)
    return bool((attended - exact).norm() / exact.norm() < ERROR)


def attend(
    turned: Tensor, numbers: Tensor, scales: Tensor, means: Tensor, lengths: Tensor, span: int
) -> Tensor:
    """Store the keys and values of a position, and attend to it and all before it.

    They are stored as by `int8_attention.append`, but halves are rounded up. Nothing waits for the device.
    Equal arguments give equal bits.

    Args:
        turned: [3, rows, heads, 1, head width] query, key and value in fp16 or bf16, numbers of a head side
            by side.
        numbers: [2, rows, heads, capacity, head width] int8, contiguous, changed.
        scales: [2, rows, heads, capacity] float32, contiguous, changed.
        means: [rows, heads, head width] float32, contiguous, taken off the keys.
        lengths: [rows] int32, how many positions each row sees, the new one included.
        span: positions that are looked at, a multiple of RUN or the capacity.

    Returns:
        [rows, 1, heads * head width] in the dtype of `turned`.
    """
    _, rows, heads, capacity, width = numbers.shape
    runs, padded = -(-span // RUN), _power(width)
    sums = torch.empty(runs, rows * heads, padded + 2, dtype=torch.float32, device=turned.device)
    out = turned.new_empty(rows, 1, heads * width)
    shape = {"NUMBER": _number(turned), "WIDTH": padded}
    with torch.cuda.device_of(turned):  # Triton launches on the current device
        _kernels().attend[(rows * heads, runs)](
            *_addresses(turned, numbers, scales, means, lengths, sums),
            heads,
            capacity,
            width,
            *turned.stride()[:3],
            width**-0.5,
            RUN=RUN,
            BLOCK=BLOCK,
            ALIGNED=numbers.data_ptr() % quantised_triton.ALIGNMENT == 0,
            **shape,
        )
        most = _power(-(-capacity // RUN))
        _kernels().merge[(rows * heads,)](*_addresses(sums, out), runs, width, RUNS=most, **shape)
    return out


def _addresses(*tensors: Tensor) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _number(like: Tensor) -> Any:
    from .quantised_kernels import NUMBERS

    return NUMBERS[like.dtype]


def _power(count: int) -> int:
    """The smallest power of two that is not below."""
    return 1 << (count - 1).bit_length()


def _kernels() -> ModuleType | Any:
    from . import int8_attention_kernels

    return int8_attention_kernels
