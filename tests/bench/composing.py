"""`make bench`: how fast LeLM composes at its real widths, beside a loop as the published code runs it.

Layers are few (4 of stage 1, 2 of stage 2), so that it fits a small machine. All layers are alike: a model
without any gives the time of the rest, the difference that of a layer, and with both the full depth is
extrapolated. Prefix as released (952 positions), weights and ids random.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import pack  # noqa: F401
import torch
from bench import published_lelm
from bench.published_lelm import PublishedLeLM
from bench.table import in_turns, machine, show
from torch import nn

from levo import int8, packed, tiny, weights
from levo.attention import by_products
from levo.config import (
    CODES,
    EMPTY,
    FRAME_RATE,
    LYRIC_ROWS,
    PROMPT_FRAMES,
    RELEASED,
    SAMPLE_RATE,
    STRUCTURE_ROWS,
    STYLE_ROWS,
    LelmConfig,
)
from levo.lelm.compose import compose
from levo.lelm.conditions import Conditions
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.song import decode_song, render_song, seeded_noise
from levo.vae.oobleck import Vae

SIZES = {"v2-medium": (1, 2, 4), "v2-large": (1,)}  # takes that are measured
LAYERS, LAYERS_SUB = 4, 2
FRAMES = 30 * FRAME_RATE  # the song that is begun
STEPS = 11  # of it that are run: the first with the prefill, the others timed one by one
ROUNDS = 3
TINY_SECONDS = 12

# Begins a song, calling its argument after each step.
Begin = Callable[[Callable[[int, int], None]], object]


@dataclass(frozen=True)
class Pace:
    """Seconds of a song's begin."""

    prefill: float  # until the first code
    step: float  # median of the following ones


class Enough(Exception):
    """Stops a song once enough of it has been timed."""


def pace(begin: Begin) -> Pace:
    """Run the begin of a song and time its steps."""
    times = [time.perf_counter()]

    def on_step(done: int, total: int) -> None:
        times.append(time.perf_counter())
        if done == STEPS:
            raise Enough

    with suppress(Enough):
        begin(on_step)
    first, *steps = (b - a for a, b in zip(times, times[1:], strict=False))
    return Pace(first, median(steps))


def random_conditions(config: LelmConfig) -> Conditions:
    """Ids of the right shapes that stand for no text, with a style prompt."""
    generator = torch.Generator().manual_seed(0)
    ids = partial(torch.randint, generator=generator)
    prompt = torch.full((2, 3, PROMPT_FRAMES + 1), EMPTY)
    prompt[0] = ids(CODES, prompt[0].shape)
    lyric, style = (2, config.lyric_length), (2, config.style_length)
    rows = STYLE_ROWS[config.version]
    return Conditions(ids(LYRIC_ROWS, lyric), ids(STRUCTURE_ROWS, lyric), prompt, ids(rows, style), "", "")


def random_model(config: LelmConfig) -> LeLM:
    """A model in float32 with random weights.

    Tables of conditions are looked up once a song: theirs are one row, shown as often as they are long.
    """
    model = LeLM(config, device="meta")
    generator = torch.Generator().manual_seed(0)

    def weight(name: str, shape: torch.Size) -> torch.Tensor:
        if name.startswith("conditioner."):
            return torch.randn(1, shape[1], generator=generator).expand(shape)
        if name.endswith("norm.weight"):
            return torch.ones(shape)
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    weights = {name: weight(name, tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights, assign=True)
    return model


def in_dtype(model: LeLM, dtype: torch.dtype) -> LeLM:
    """A copy of a model in another dtype."""
    other = LeLM(model.config, device="meta", dtype=dtype)

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[:1].to(dtype).expand(tensor.shape) if tensor.stride(0) == 0 else tensor.to(dtype)

    other.load_state_dict({name: cast(t) for name, t in model.state_dict().items()}, assign=True)
    return other


def in_int8(model: LeLM) -> LeLM:
    """A copy of a model as nodes load int8 on a CPU: the bridge is fp16, norms and tables stay float32."""
    return with_layers(model, int8.operations(packed.operations(nn), packed.PackedInt8Linear))


def in_fp16(model: LeLM) -> LeLM:
    """A copy of a model as nodes load fp16 on a CPU: matrices are fp16, norms and tables stay float32."""
    return with_layers(model, packed.operations(nn))


def with_layers(model: LeLM, operations: Any) -> LeLM:
    """A copy of a model of other layers; what they store as it is in the model is shared."""
    other = LeLM(model.config, operations, by_products, device="meta")
    weights.assign(other, model.state_dict().items(), "cpu")
    return other


def without_layers(model: LeLM) -> LeLM:
    """The same weights with no layer in either stage."""
    bare = LeLM(replace(model.config, layers=0, layers_sub=0), device="meta")
    for name, part in model.named_children():
        if name.startswith("stage"):
            getattr(bare, name).norm = part.norm
        else:
            setattr(bare, name, part)
    return bare


def cases(size: str) -> dict[tuple[str, int], tuple[Begin, Begin]]:
    """(row, takes) -> the song's begin with the few layers and with none."""
    model = random_model(replace(RELEASED[size], layers=LAYERS, layers_sub=LAYERS_SUB))
    conditions = random_conditions(model.config)

    def published(model: LeLM) -> Begin:
        plain = PublishedLeLM(model)
        return lambda on_step: published_lelm.compose(plain, conditions, FRAMES, on_step=on_step)

    def ours(model: LeLM, takes: int) -> Begin:
        return lambda on_step: compose(model, conditions, FRAMES, seeds=range(takes), on_step=on_step)

    half, small = in_fp16(model), in_int8(model)
    kinds = [("ours, fp32", model, 1)]
    kinds += [
        (f"ours, {n}", m, takes)
        for n, m in (("fp16 (auto)", half), ("int8", small))
        for takes in SIZES[size]
    ]
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # without its instructions bf16 takes minutes
        kinds.append(("ours, bf16", in_dtype(model, torch.bfloat16), 1))
    rows = {("published loop, fp32", 1): (published(model), published(without_layers(model)))}
    rows |= {(n, takes): (ours(m, takes), ours(without_layers(m), takes)) for n, m, takes in kinds}
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
    release = RELEASED[size]
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
        f"{release.prefix_length + 1} positions, then {STEPS - 1} steps; medians of {ROUNDS} rounds; "
        f"{machine()}\nSteps are of all takes; {depth} layers are extrapolated from the time of a layer; "
        "x is against the first row",
        ["", "takes", "prefill s", "x", "steps/s", "x", f"{depth}: prefill s", "x", "steps/s", "x"],
        [row(*key, times, first) for key, times in seconds.items()],
    )


def tiny_song() -> tuple[float, float]:
    """Compose, render and decode a song of the built-in tiny models; its seconds, and seconds taken."""
    models = LeLM(tiny.LELM), Renderer(tiny.RENDERER), Vae(tiny.VAE)
    for model in models:
        tiny.fill(model)
    lelm, renderer, vae = models
    start = time.perf_counter()
    (song,) = compose(lelm, random_conditions(tiny.LELM), TINY_SECONDS * FRAME_RATE)
    latents = render_song(renderer, song.codes, seeded_noise(0, 1, tiny.RENDERER))
    sound = decode_song(vae, latents, tiny.RENDERER)
    return sound.shape[-1] / SAMPLE_RATE, time.perf_counter() - start


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
