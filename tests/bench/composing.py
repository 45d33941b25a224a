"""`make bench`: how fast LeLM composes at its real widths, beside a loop as the published code runs it.

Layers are few (4 of stage 1, 2 of stage 2), so that it fits a small machine. All layers are alike: a model
without any gives the time of the rest, the difference that of a layer, and with both the full depth is
extrapolated. Prefix as released (952 positions), weights and ids random. On a CUDA card where there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import support.pack  # noqa: F401
import torch
from bench import published_lelm
from bench.begun import Begin, between, random_conditions
from bench.models import (
    ON_CARD,
    ON_CPU,
    few_bits_on_card,
    in_dtype,
    in_few_bits,
    in_fp16,
    random_model,
    triton_kernel,
    without_layers,
)
from bench.published_lelm import PublishedLeLM
from bench.table import clock, device, in_turns, machine, on_card, show
from support.short_runs import render_song

from levo import tiny
from levo.config import FRAME_RATE, RELEASED_CONFIGS, SAMPLE_RATE
from levo.lelm.compose import Execution, compose
from levo.lelm.cuda_graph import Resident
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.song.decode import decode_song
from levo.song.render import seeded_noise
from levo.vae.oobleck import Vae

SIZES = {"v2-medium": (1, 2, 4), "v2-large": (1,)}  # takes that are measured
LAYERS, LAYERS_SUB = 4, 2
FRAMES = 30 * FRAME_RATE  # the song that is begun
STEPS = 11  # of it that are run: the first with the prefill, the others timed one by one
CARD_STEPS, WARM_STEPS = 61, 5  # on a card, where those after the first few are timed together
ROUNDS = 3
TINY_SECONDS = 12


@dataclass(frozen=True)
class Pace:
    """Seconds of a song's begin."""

    prefill: float  # until the first code
    step: float  # median of the following ones; on a card their mean, without capturing a graph


def steps_run() -> int:
    """How many steps of a song are run."""
    return CARD_STEPS if on_card() else STEPS


def pace(begin: Begin) -> Pace:
    """Run the begin of a song and time its steps."""
    if on_card():
        first, _, others = between(begin, (0, WARM_STEPS, CARD_STEPS - 1))
        return Pace(first, others / (CARD_STEPS - 1 - WARM_STEPS))
    first, *steps = between(begin, range(STEPS))
    return Pace(first, median(steps))


def kinds_of(model: LeLM, takes: tuple[int, ...]) -> Iterator[tuple[str, LeLM, int, Execution]]:
    """Our rows: label, model, takes, how its steps run."""
    plainly, graph = Execution(), Execution(Resident()) if on_card() else None
    if graph:
        half = in_dtype(model, torch.float16)
        kernel = triton_kernel(device())
        yield "ours, fp16, without graph", half, 1, plainly
        kinds = {"fp16 (auto)": half} | {form: few_bits_on_card(half, form, kernel) for form in ON_CARD}
    else:
        yield "ours, fp32", model, 1, plainly
        kinds = {"fp16 (auto)": in_fp16(model)} | {form: in_few_bits(model, form) for form in ON_CPU}
    yield from ((f"ours, {name}", kind, n, graph or plainly) for name, kind in kinds.items() for n in takes)
    # On a CPU without its instructions bf16 takes minutes.
    if on_card() or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        yield "ours, bf16", in_dtype(model, torch.bfloat16), 1, graph or plainly


def cases(size: str) -> dict[tuple[str, int], tuple[Begin, Begin]]:
    """(row, takes) -> the song's begin with the few layers and with none."""
    config = replace(RELEASED_CONFIGS[size], layers=LAYERS, layers_sub=LAYERS_SUB)
    model = random_model(config, device())
    conditions = random_conditions(config)

    def published(model: LeLM) -> Begin:
        plain = PublishedLeLM(model)

        def begin(on_step) -> None:
            with torch.autocast("cuda", torch.float16) if on_card() else nullcontext():
                published_lelm.compose(plain, conditions, FRAMES, on_step=on_step)

        return begin

    def ours(model: LeLM, takes: int, execution: Execution) -> Begin:
        how = {"seeds": range(takes), "device": device(), "execution": execution}
        return lambda on_step: compose(model, conditions, FRAMES, **how, on_step=on_step)

    # Autocast rounds each matrix once and keeps it, which comes to this.
    plain, name = (in_dtype(model, torch.float16), "fp16 autocast") if on_card() else (model, "fp32")
    rows = {(f"published loop, {name}", 1): (published(plain), published(without_layers(plain)))}
    for label, kind, takes, how in kinds_of(model, SIZES[size]):
        rows[label, takes] = ours(kind, takes, how), ours(without_layers(kind), takes, how)
    return rows


def at_depth(few: float, none: float, layers: int) -> float:
    """Seconds with `layers` layers, from those with the few and with none."""
    return none + (few - none) * layers / (LAYERS + LAYERS_SUB)


def row(label: str, takes: int, seconds: tuple[float, ...], first: tuple[float, ...]) -> list[str]:
    """A line of the table from seconds of prefill and step, with few layers and extrapolated."""
    cells = [label, str(takes)]
    for n, (mine, published) in enumerate(zip(seconds, first, strict=True)):
        value = takes / mine if n % 2 else mine
        ratio = takes * published / mine if n % 2 else published / mine
        cells += [f"{value:.2f}", f"{ratio:.2f}x"]
    return cells


def compare(size: str) -> None:
    """Measure one release and print its table."""
    release = RELEASED_CONFIGS[size]
    begins = cases(size)
    flat = {(key, n): partial(pace, b) for key, pair in begins.items() for n, b in enumerate(pair)}
    runs = in_turns(flat, ROUNDS)
    seconds = {}
    for key in begins:
        few, none = (
            [median(getattr(run, part) for run in runs[key, n]) for part in ("prefill", "step")]
            for n in range(2)
        )
        deep = [at_depth(a, b, release.layers + release.layers_sub) for a, b in zip(few, none, strict=True)]
        seconds[key] = (*few, *deep)
    first = next(iter(seconds.values()))
    depth = f"{release.layers}+{release.layers_sub}"
    show(
        f"LeLM {size}: width {release.width}, {LAYERS}+{LAYERS_SUB} layers, prefill of "
        f"{release.prefix_length + 1} positions, then {steps_run() - 1} steps; medians of {ROUNDS} rounds; "
        f"{machine()}\nSteps are of all takes; {depth} layers are extrapolated from the time of a layer; "
        "x is against the first row",
        ["", "takes", "prefill s", "x", "steps/s", "x", f"{depth}: prefill s", "x", "steps/s", "x"],
        [row(*key, times, first) for key, times in seconds.items()],
    )


def tiny_song() -> tuple[float, float]:
    """Compose, render and decode a song of the built-in tiny models; its seconds, and seconds taken."""
    models = LeLM(tiny.LELM), Renderer(tiny.RENDERER), Vae(tiny.VAE)
    for model in models:
        tiny.init_weights(model, device())
    lelm, renderer, vae = models
    start = clock()
    (song,) = compose(lelm, random_conditions(tiny.LELM), TINY_SECONDS * FRAME_RATE, device=device())
    latents = render_song(renderer, song.codes, seeded_noise(0, 1, tiny.RENDERER), device=device())
    sound = decode_song(vae, latents, device())
    return sound.shape[-1] / SAMPLE_RATE, clock() - start


def tiny_songs() -> None:
    """Measure the tiny song and print its table."""
    runs = in_turns({"": tiny_song}, ROUNDS)[""]
    sound, taken = (median(values) for values in zip(*runs, strict=True))
    show(
        f"A song of the tiny models, composed, rendered and decoded; fp32, median of {ROUNDS}; {machine()}",
        ["", "sound s", "taken s", "sound s a second"],
        [["tiny song", f"{sound:.1f}", f"{taken:.2f}", f"{sound / taken:.2f}"]],
    )


@torch.inference_mode()
def main() -> int:
    for size in SIZES:
        compare(size)
    tiny_songs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
