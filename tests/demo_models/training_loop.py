"""The loop that all demo models are trained by: seeded by step, resumable, logged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SAVE_SECONDS = 60.0
LOG_STEPS = 50


@dataclass(frozen=True)
class Stage:
    """A part of the training: what is trained, how long, on what loss."""

    name: str
    steps: int
    rate: float  # of Adam at its height; it falls along a cosine to a twentieth
    modules: dict[str, nn.Module]  # whose tensors are saved
    parameters: list[nn.Parameter]
    losses: Callable[[int], dict[str, Tensor]]  # of a step; what is named `loss` is descended
    betas: tuple[float, float] = (0.9, 0.99)
    warm: int = 100  # steps over which the rate rises
    decay: float = 0.0


def load(folder: Path, name: str, modules: dict[str, nn.Module]) -> None:
    """Give modules what a stage made of them; only those that it has."""
    saved = torch.load(folder / f"{name}.pt", weights_only=True)["modules"]
    for key, module in modules.items():
        if key in saved:
            module.load_state_dict(saved[key])


def run(stage: Stage, folder: Path) -> None:
    """Train a stage to its end, from where a former run of it stopped.

    Args:
        stage: whose modules are changed in place.
        folder: where its state and log are kept.
    """
    optimiser = torch.optim.AdamW(
        stage.parameters, lr=stage.rate, betas=stage.betas, weight_decay=stage.decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(stage, step))
    path = folder / f"{stage.name}.pt"
    first = _resume(path, stage, optimiser, schedule)
    saved_at, sums, counted, began = time.monotonic(), {}, 0, time.monotonic()
    for step in range(first, stage.steps):
        torch.manual_seed(step)
        losses = stage.losses(step)
        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(stage.parameters, 1.0)
        optimiser.step()
        schedule.step()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        counted += 1
        if (step + 1) % LOG_STEPS == 0:
            means = {name: round(value / counted, 4) for name, value in sums.items()}
            _log(
                folder,
                {
                    "stage": stage.name,
                    "step": step + 1,
                    **means,
                    "seconds": round(time.monotonic() - began),
                },
            )
            sums, counted = {}, 0
        if time.monotonic() - saved_at > SAVE_SECONDS or step + 1 == stage.steps:
            _save(path, stage, step + 1, optimiser, schedule)
            saved_at = time.monotonic()


def _resume(path: Path, stage: Stage, *others: Any) -> int:
    """Bring back what was saved of a stage, its optimiser and its schedule; the step that comes next."""
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True)
    for key, module in stage.modules.items():
        module.load_state_dict(saved["modules"][key])
    if saved["step"] < stage.steps:
        for other, state in zip(others, saved["others"], strict=True):
            other.load_state_dict(state)
    return saved["step"]


def _rate(stage: Stage, step: int) -> float:
    warm = min(1.0, (step + 1) / stage.warm)
    turn = torch.tensor(torch.pi * min(1.0, step / stage.steps)).cos().item()
    return warm * (0.05 + 0.95 * (1 + turn) / 2)


def _save(path: Path, stage: Stage, step: int, *others: Any) -> None:
    part = path.with_suffix(".part")
    modules = {key: module.state_dict() for key, module in stage.modules.items()}
    torch.save({"modules": modules, "others": [each.state_dict() for each in others], "step": step}, part)
    part.replace(path)


def _log(folder: Path, line: dict) -> None:
    text = json.dumps(line)
    print(text, flush=True)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def parameters_of(*modules: nn.Module | None) -> list[nn.Parameter]:
    """All parameters of some modules."""
    return [p for module in modules if module is not None for p in module.parameters()]


def descend(**parts: Tensor) -> dict[str, Tensor]:
    """Losses that are summed as they are."""
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}
