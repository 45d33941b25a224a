"""Memory that runs take beside the weights, against the formulas that nodes ask ComfyUI by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from bench.begun import between
from bench.gpu.report import Report, clear
from bench.gpu.setting import LARGE, Setting, longest
from bench.models import copied, endless, filled, random_model
from bench.table import clock

from levo.config import FRAME_RATE, RENDER_GUIDANCE
from levo.memory import compose_bytes, decode_bytes, render_bytes
from levo.renderer.model import Renderer
from levo.renderer.solver import solve
from levo.vae.oobleck import Vae

MOST = 1.1  # of what the formula says
STEPS = 160  # more than a span of the cache has left, so that graphs of two are held
SHORT, KEPT = 60 * FRAME_RATE, 3_500  # frames


def run(report: Report, setting: Setting) -> None:
    """Measure composing, rendering and decoding."""
    with report.case("composing"):
        compose(report, setting)
    with report.case("rendering"):
        render(report, setting)
    with report.case("decoding"):
        decode(report, setting)


def compose(report: Report, setting: Setting) -> None:
    """Songs of the large model, in fp16, as graphs."""
    config = setting.lelm[LARGE]
    model = endless(random_model(config, setting.device, setting.dtype("fp16")))
    for frames, kept in ((SHORT, 0), (longest(config), KEPT)):
        for takes, small in ((1, False), (4, False), (1, True), (4, True)):
            name = f"{takes} take{'s' * (takes > 1)} of {frames // FRAME_RATE} s"
            name += f", {kept // FRAME_RATE} s kept" if kept else ""
            name += ", int8 cache" if small else ""
            with report.case(name):
                song = setting.begin(model, takes, setting.graph(small_cache=small), frames, kept)
                asked = compose_bytes(config, frames, 2, takes, kept, small)
                compare(report, setting, name, asked, partial(between, song, (STEPS,)))


def render(report: Report, setting: Setting) -> None:
    """A window with guidance, in fp16 and fp32."""
    config = setting.renderer
    exact = filled(Renderer(config, device="meta"), setting.device)
    codes = torch.zeros(1, config.window, dtype=torch.int64, device=setting.device)
    noise = torch.randn(1, config.window, config.latent, device=setting.device)
    for name in ("fp16", "fp32"):
        with report.case(f"a window in {name}"):
            model = copied(exact, Renderer(config, device="meta", dtype=setting.dtype(name)))

            def window(model: Renderer = model) -> None:
                solve(model, model.condition(codes, codes), noise, noise[:, :0], 2, RENDER_GUIDANCE)

            asked = render_bytes(config, model.flow.dtype.itemsize, cuda=True)
            compare(report, setting, f"a window in {name}", asked, window)
            del model


def decode(report: Report, setting: Setting) -> None:
    """Chunks of latents, in fp32 and fp16."""
    exact = filled(Vae(setting.vae, device="meta"), setting.device)
    for form in ("fp32", "fp16"):
        dtype = setting.dtype(form)
        model = copied(exact, Vae(setting.vae, device="meta", dtype=dtype))
        for frames in (setting.vae.chunk, setting.renderer.window):
            name = f"decoding {frames} frames in {form}"
            with report.case(name):
                latents = torch.randn(1, setting.vae.latent, frames, device=setting.device).to(dtype)
                asked = decode_bytes(setting.vae, dtype.itemsize, frames, cuda=True)
                compare(report, setting, name, asked, partial(model.decode, latents))
        del model


def compare(report: Report, setting: Setting, name: str, asked: int, work: Callable[[], object]) -> None:
    """Report what work takes, relative to what the formula says.

    It runs twice: what libraries take once and keep does not count.
    """
    work()
    if setting.dry:
        report.skip(name, "memory is counted on a card alone")
        return
    clear()
    torch.cuda.reset_peak_memory_stats()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    work()
    clock()
    taken = torch.cuda.max_memory_allocated() - allocated
    held = torch.cuda.max_memory_reserved() - reserved
    note = f"{taken / 1e9:.2f} of {asked / 1e9:.2f} GB; reserved {held / 1e9:.2f} GB, {held / asked:.2f}"
    report.add(name, taken / asked, "of the formula", most=MOST, note=note)
