"""What a check measures: full size on a card, or tiny on the CPU to try the check itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from bench.begun import Begin, random_conditions

from levo import tiny
from levo.config import CODES, FRAME_RATE, RELEASED_CONFIGS, LelmConfig, RendererConfig, VaeConfig
from levo.lelm.compose import Execution, compose
from levo.lelm.cuda_graph import Resident
from levo.lelm.model import LeLM, Run, plainly

MEDIUM, LARGE = "v2-medium", "v2-large"
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
TINY = {"width": 32, "inner": 96, "heads": 2, "layers": 2, "layers_sub": 1}


@dataclass(frozen=True)
class Setting:
    """Where and with which sizes."""

    device: torch.device
    lelm: Mapping[str, LelmConfig]
    renderer: RendererConfig
    vae: VaeConfig
    seconds: int  # of a whole song
    comfyui: Path | None  # folder of the ComfyUI whose server is measured

    @property
    def dry(self) -> bool:
        """Whether there is no card."""
        return self.device.type != "cuda"

    def dtype(self, name: str) -> torch.dtype:
        """A number format by its name; float32 where there is no card, as a CPU is slow at others."""
        return torch.float32 if self.dry else DTYPES[name]

    def graph(self, block: Callable[..., None] = plainly, small_cache: bool = False) -> Execution:
        """Steps as CUDA graphs, with blocks run so; without a card as they are."""
        return Execution(None if self.dry else Resident(), Run(block), small_cache)

    def begin(self, model: LeLM, takes: int, execution: Execution, frames: int, kept: int = 0) -> Begin:
        """Begins a song of `frames` frames of which the first `kept` are known."""
        generator = torch.Generator().manual_seed(1)
        known = torch.randint(CODES, (1, 3, kept), generator=generator) if kept else None
        how: dict[str, Any] = {"seeds": range(takes), "device": self.device, "kept": known}
        conditions = random_conditions(model.config)
        return lambda on_step: compose(
            model, conditions, frames, execution=execution, on_step=on_step, **how
        )


def full(comfyui: Path | None) -> Setting:
    """Released sizes on the card."""
    lelm = {name: RELEASED_CONFIGS[name] for name in (MEDIUM, LARGE)}
    return Setting(torch.device("cuda"), lelm, RendererConfig(), VaeConfig(), 270, comfyui)


def dry(comfyui: Path | None) -> Setting:
    """Tiny sizes on the CPU; positions and lengths are the real ones."""
    lelm = {name: replace(RELEASED_CONFIGS[name], **TINY) for name in (MEDIUM, LARGE)}
    return Setting(torch.device("cpu"), lelm, tiny.RENDERER, tiny.VAE, 12, comfyui)


def longest(config: LelmConfig) -> int:
    """Frames of the longest song."""
    return round(config.max_seconds * FRAME_RATE)
