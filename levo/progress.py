"""How long loops tell how far they are: a callback that is given (steps done, steps in all)."""

from __future__ import annotations

from collections.abc import Callable

OnStep = Callable[[int, int], None]  # may raise to stop the loop


def ignore(done: int, total: int) -> None:
    """Tell nobody."""


def part_of(on_step: OnStep, before: int, total: int) -> OnStep:
    """Where a part of a longer work reports its own steps.

    Args:
        on_step: of the whole work.
        before: steps of the whole work that are done before the part.
        total: steps of the whole work.
    """
    return lambda done, _: on_step(before + done, total)
