"""How much memory something takes at its most, by torch's profiler."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile


def peak(run: Callable[[], object]) -> int:
    """Most bytes of tensors that live at once while something runs, beside those from before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    changes = [e.nbytes() for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(accumulate(changes))
