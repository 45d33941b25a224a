"""A node whose steps cost nothing: what is left is the loop itself, bare and as LeVo Compose runs it.

For tests/bench/overhead.py. It finds the pack among ComfyUI's modules, as both are custom nodes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FRAMES, ROUNDS = 20_000, 3


def module(name: str) -> Any:
    """A module of the pack, by its name within it."""
    return next(found for full, found in sys.modules.items() if full.endswith(f"ComfyUI-LeVo.{name}"))


class NoStep:
    """Takes no step."""

    def __init__(self, *_: Any) -> None:
        pass

    def __call__(self, shape: Any) -> None:
        pass

    def close(self) -> None:
        pass


class LevoCostless:
    """Steps a second, by way."""

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "bench"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}, "hidden": {"unique_id": "UNIQUE_ID"}}

    def run(self, unique_id: str) -> dict[str, Any]:
        lelm = module("nodes.loading").load_lelm(module("nodes.host.folders").TINY, "fp32")
        prepare = module("levo.lelm.conditions").prepare
        asked = prepare("[verse] hi.", "pop", None, lelm.config, lelm.tokenizer)
        ways = {"bare": lambda: {}, "node": lambda: {"on_step": reported(unique_id)}}
        speeds = [
            (way, speed(lelm.patcher.model, asked, ways[way]())) for _ in range(ROUNDS) for way in ways
        ]
        return {"ui": {"speeds": speeds}}


def reported(unique_id: str) -> Callable[[int, int], None]:
    """What LeVo Compose does at every step: Cancel, the progress bar, the line on the node."""
    reporting = module("nodes.host.reporting")
    progress, report = reporting.Progress(), reporting.Report(unique_id, "[verse] hi.", FRAMES)

    def on_step(done: int, total: int) -> None:
        progress(done, total)
        report.composing(done, total)

    return on_step


def speed(model: Any, asked: Any, callbacks: dict[str, Any]) -> float:
    """Steps a second after the prefill."""
    compose, times = module("levo.lelm.compose"), []
    on_step = callbacks.pop("on_step", lambda done, total: None)

    def noted(done: int, total: int) -> None:
        if not times or done == total:
            times.append(time.perf_counter())
        on_step(done, total)

    stepper, compose._stepper = compose._stepper, NoStep
    try:
        with suppress(RuntimeError):  # no codes were made
            compose.compose(model, asked, FRAMES, on_step=noted)
    finally:
        compose._stepper = stepper
    return FRAMES / (times[-1] - times[0])


NODE_CLASS_MAPPINGS = {"LevoCostless": LevoCostless}
