"""The stage in which LeLM is trained."""

from __future__ import annotations

from torch import Tensor

from .lelm_training import Examples, SmallLeLM, batch_losses
from .training_loop import Stage, descend

BATCH = 2  # songs a step


def lelm(model: SmallLeLM, examples: Examples, steps: int) -> Stage:
    def losses(step: int) -> dict[str, Tensor]:
        songs = [examples.of(BATCH * step + n) for n in range(BATCH)]
        mixed, vocal, band = batch_losses(model, songs)
        return descend(mixed=mixed, vocal=vocal, band=band)

    return Stage(
        "lelm", steps, 2e-3, {"lelm": model}, list(model.parameters()), losses, (0.9, 0.98), warm=200
    )
