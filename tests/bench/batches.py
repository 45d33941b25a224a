"""`make bench`: songs an hour, composed N at once and rendered in turn, beside songs made one by one.

LeLM v2-medium in fp16 at its real width, few layers, extrapolated as in composing.py; weights and ids are
random. A step is timed in the middle of a song, where it reads keys and values of half of it for each song:
at the start, where a step reads little but weights, more songs at once would look better. The rest of a
song is the same for all: its prefill, the renderer's steps of all windows, and decoding in released chunks.
Cases take turns. On a CUDA card where there is one, with CUDA graphs. Argument: rounds (3).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import support.pack  # noqa: F401
import torch
from bench.begun import between, random_conditions
from bench.composing import LAYERS, LAYERS_SUB, at_depth
from bench.models import in_dtype, in_fp16, random_model, without_layers
from bench.rendering import CHUNK, flow_ways
from bench.rendering import LAYERS as FLOW_LAYERS
from bench.table import clock, device, in_turns, machine, on_card, seconds, show

from levo import tiny
from levo.config import FRAME_RATE, RELEASED_CONFIGS, RENDER_STEPS, RendererConfig, Sampling, VaeConfig
from levo.lelm.compose import Execution, _decode, _stepper, compose
from levo.lelm.cuda_graph import Resident
from levo.lelm.delay import steps_for
from levo.lelm.kv_cache import capacity_for
from levo.lelm.model import LeLM
from levo.lelm.takes import SongInput, TakeBatch
from levo.renderer.windows import Windows
from levo.vae.oobleck import Vae

AT_ONCE = (1, 2, 4, 8)  # songs
RELEASE = RELEASED_CONFIGS["v2-medium"]
SECONDS = 150  # of a song that goes to its limit
FRAMES = SECONDS * FRAME_RATE
STEPS, CARD_STEPS, WARM_STEPS = 5, 50, 3  # that are timed; those before on a card


def execution() -> Execution:
    """How steps run here."""
    return Execution(Resident()) if on_card() else Execution()


def stepping(model: LeLM, songs: int) -> Callable[[], None]:
    """Takes a step of so many songs, from the middle of them on; what lies before is zeros."""
    config, kept = model.config, torch.zeros(1, 3, FRAMES // 2, dtype=torch.int64)
    asked = [SongInput(random_conditions(config), FRAMES, (n,), kept) for n in range(songs)]
    takes = TakeBatch(asked, config.delays, Sampling(), False, device())
    known = config.prefix_length + takes.first
    growing = model.caches(2, known, model.stage1.norm.weight)
    for cache in growing:
        cache.advance(known)
    capacity = capacity_for(config.prefix_length + takes.steps)
    caches = tuple(cache.fixed(capacity, songs) for cache in growing)
    step = _stepper(partial(_decode, model, takes, caches), execution(), device())
    return lambda: step(caches[0].span)


def step_seconds(model: LeLM, songs: int) -> float:
    """Of a step in the middle of so many songs: the median, on a card the mean."""
    step = stepping(model, songs)
    for _ in range(WARM_STEPS if on_card() else 1):
        step()
    if not on_card():
        return median(seconds(step) for _ in range(STEPS))
    start = clock()
    for _ in range(CARD_STEPS):
        step()
    return (clock() - start) / CARD_STEPS


def prefill_seconds(model: LeLM) -> float:
    """Of one song until its first code, which is the same in a batch."""
    conditions = random_conditions(model.config)
    return between(lambda on_step: compose(model, conditions, 10, device=device(), on_step=on_step), (0,))[
        0
    ]


def sound_cases() -> dict[str, Callable[[], float]]:
    """Seconds of a step of the renderer with few layers, and of decoding a chunk."""
    flow, _ = flow_ways(torch.float16 if on_card() else torch.float32)
    vae = Vae(VaeConfig())
    tiny.init_weights(vae, device())
    latents = torch.zeros(1, vae.config.latent, CHUNK, device=device())
    return {"flow": partial(seconds, flow), "decoding": partial(seconds, partial(vae.decode, latents))}


def sound_seconds(flow: float, chunk: float) -> float:
    """Of rendering and decoding a song, from a step of few layers and a chunk."""
    config, vae = RendererConfig(), VaeConfig()
    windows = Windows.over(FRAMES, config).count
    chunks = -(-FRAMES // (vae.chunk - 2 * vae.overlap))
    return windows * RENDER_STEPS * flow * config.layers / FLOW_LAYERS + chunks * chunk


def row(songs: int, step: float, once: float, sound: float, alone: float) -> list[str]:
    """A line of the table, in seconds: a step, prefill, rendering and decoding, a step of one song."""
    composing = [once + steps_for(FRAMES, RELEASE.delays) * each for each in (step / songs, alone)]
    cells = [str(songs), f"{step:.3f}"]
    for more in (0, sound):
        here, one = (3_600 / (each + more) for each in composing)
        cells += [f"{here:.2f}", f"{here / one:.2f}x"]
    return cells


@torch.inference_mode()
def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    model = random_model(replace(RELEASE, layers=LAYERS, layers_sub=LAYERS_SUB), device())
    few = in_dtype(model, torch.float16) if on_card() else in_fp16(model)
    models = {"few": few, "none": without_layers(few)}
    cases = {
        (name, n): partial(step_seconds, made, n) for name, made in models.items() for n in AT_ONCE
    } | {(name, 0): partial(prefill_seconds, made) for name, made in models.items()}
    before = os.getloadavg()[0]
    runs = in_turns(cases | sound_cases(), rounds)
    times = {key: median(values) for key, values in runs.items()}
    depth = RELEASE.layers + RELEASE.layers_sub
    once, *steps = (at_depth(times["few", n], times["none", n], depth) for n in (0, *AT_ONCE))
    sound = sound_seconds(times["flow"], times["decoding"])
    show(
        f"Songs of {SECONDS} s, v2-medium fp16, N at once against one by one; {LAYERS}+{LAYERS_SUB} layers "
        f"extrapolated; medians of {rounds} rounds; load {before:.0f}; {machine()}\n"
        f"A song's prefill {once:.1f} s, its rendering and decoding {sound:.0f} s",
        ["songs at once", "step s", "composed an hour", "x", "made an hour", "x"],
        [row(n, step, once, sound, steps[0]) for n, step in zip(AT_ONCE, steps, strict=True)],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
