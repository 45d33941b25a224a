"""The renderer and the VAE at full size: milliseconds, and error against float32, by number format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from bench.gpu.report import Report
from bench.gpu.setting import Setting
from bench.models import copied, filled
from bench.table import seconds, tf32
from torch import Tensor

from levo.config import CODES, RENDER_GUIDANCE, RENDER_STEPS
from levo.renderer.model import Renderer
from levo.renderer.solver import solve
from levo.vae.chunks import decode_chunks
from levo.vae.oobleck import Vae

ROUNDS = 3
WINDOW_MS = 150  # most that a window may take in fp16
HALF, AUTOCAST, EXACT = "fp16", "fp32 under autocast", "fp32"


@dataclass(frozen=True)
class Way:
    """A number format: that of the weights, and what products are rounded to beside."""

    dtype: torch.dtype = torch.float32
    around: Callable[[], AbstractContextManager] = nullcontext


def run(report: Report, setting: Setting) -> None:
    """Measure a window of the renderer, then one of the VAE."""
    with tf32(False):
        render(report, setting)
        decode(report, setting)


def render(report: Report, setting: Setting) -> None:
    """Windows in all formats; published is float32 under autocast."""
    exact, config = filled(Renderer(setting.renderer, device="meta"), setting.device), setting.renderer
    torch.manual_seed(0)
    codes = torch.randint(CODES, (2, 1, config.window)).to(setting.device)
    noise = torch.randn(1, config.window, config.latent).to(setting.device)
    autocast = partial(torch.autocast, setting.device.type, torch.float16, enabled=not setting.dry)
    ways = {
        EXACT: Way(),
        AUTOCAST: Way(around=autocast),
        HALF: Way(setting.dtype("fp16")),
        "bf16": Way(setting.dtype("bf16")),
        "fp32 with TF32": Way(around=partial(tf32, True)),
    }
    errors: dict[str, float] = {}
    exact_latents: dict[str, Tensor] = {}
    for name, way in ways.items():
        with report.case(f"renderer {name}"):
            model = copied(exact, Renderer(config, device="meta", dtype=way.dtype))

            def window(model: Renderer = model) -> Tensor:
                known = noise[:, :0]
                return solve(model, model.condition(*codes), noise, known, RENDER_STEPS, RENDER_GUIDANCE)

            with way.around():
                made = window().float()
                spent = 1e3 * median(seconds(window) for _ in range(ROUNDS))
            errors[name] = off(made, exact_latents.setdefault(EXACT, made))
            most = WINDOW_MS if name == HALF else None
            step = f"{spent / RENDER_STEPS:.2f} ms a step"
            report.add(f"renderer {name}: a window", spent, "ms", most=most, note=step)
            most = errors.get(AUTOCAST) if name == HALF else None
            report.add(f"renderer {name}: error", errors[name], "of fp32's latents", most=most)
            del model


def decode(report: Report, setting: Setting) -> None:
    """A window of latents to sound, at once and in the released chunks."""
    exact, config = filled(Vae(setting.vae, device="meta"), setting.device), setting.renderer
    torch.manual_seed(0)
    latents = torch.randn(1, config.latent, config.window).to(setting.device)
    ways: Mapping[str, tuple[Way, int | None]] = {
        "fp32 without TF32": (Way(), config.window),
        "fp32 (auto)": (Way(around=partial(tf32, True)), config.window),
        "fp32 (auto) in released chunks": (Way(around=partial(tf32, True)), None),
        "fp16": (Way(setting.dtype("fp16")), config.window),
    }
    exact_sound: dict[str, Tensor] = {}
    for name, (way, chunk) in ways.items():
        with report.case(f"VAE {name}"):
            model = copied(exact, Vae(setting.vae, device="meta", dtype=way.dtype))
            work = partial(decode_chunks, model, latents.to(way.dtype), chunk)
            with way.around():
                made = work().float()
                spent = 1e3 * median(seconds(work) for _ in range(ROUNDS))
            report.add(f"VAE {name}: a window", spent, "ms")
            error = off(made, exact_sound.setdefault(EXACT, made))
            report.add(f"VAE {name}: error", error, "of fp32's sound")
            del model


def off(made: Tensor, exact: Tensor) -> float:
    """The error's size relative to the exact numbers; NaN where numbers are none."""
    return ((made - exact).norm() / exact.norm()).item()
