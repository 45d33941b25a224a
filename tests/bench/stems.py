"""`make bench`: what the stems of a song cost, beside its mix alone, in rendering and in decoding.

Full width and random numbers; the flow with two of its sixteen layers and one solver step, on one window of
40 s, and the decoder on 5 s of it. The ways take turns, so that other work on the machine slows all alike.
On a CUDA card where there is one, with the flow in fp16. Argument: rounds (3).
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import support.pack  # noqa: F401
import torch
from bench.models import copied
from bench.table import device, in_seconds, in_turns, machine, on_card, seconds, show
from support.short_runs import render_song
from torch import Tensor

from levo import tiny
from levo.config import CODES, RendererConfig, VaeConfig
from levo.progress import OnStep
from levo.renderer.model import Renderer
from levo.song.decode import decode_song
from levo.song.latents import SongLatents
from levo.song.render import seeded_noise
from levo.song.stems import MODES, decode_stems, decode_track, render_stems
from levo.vae.oobleck import Vae

LAYERS, STEPS, FRAMES = 2, 1, 125
MIX = "mix alone"


def nothing(done: int, total: int) -> None:
    """For progress that nobody looks at."""


def ratios(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each way, and the median over the rounds of its ratio to the mix."""
    timed = {name: lambda way=way: seconds(way) for name, way in ways.items()}
    times = in_turns(timed, rounds)
    return {
        name: (
            statistics.median(spent),
            statistics.median(a / b for a, b in zip(spent, times[MIX], strict=True)),
        )
        for name, spent in times.items()
    }


def report(rounds: int) -> None:
    """Print one table: a row a mode, seconds and ratios of rendering and decoding."""
    renderer, vae = Renderer(RendererConfig(layers=LAYERS)), Vae(VaeConfig())
    tiny.init_weights(renderer, device())
    tiny.init_weights(vae, device())
    if on_card():
        renderer = copied(renderer, Renderer(renderer.config, device="meta", dtype=torch.float16))
    how = {"steps": STEPS, "device": device()}
    song = torch.arange(3 * FRAMES).view(1, 3, FRAMES) % CODES

    def decode(latents: SongLatents, on_step: OnStep) -> Tensor:
        return decode_song(vae, latents, device(), on_step=on_step)

    noise = seeded_noise(0, 1, renderer.config)
    mix = render_song(renderer, song, noise, **how)
    made = {mode: render_stems(renderer, [song], mode, **how)[0] for mode in MODES}
    rendering = {MIX: lambda: render_song(renderer, song, noise, **how)}
    decoding = {MIX: lambda: decode_track(mix, decode, nothing)}
    for mode in MODES:
        rendering[mode] = lambda mode=mode: render_stems(renderer, [song], mode, **how)
        decoding[mode] = lambda mode=mode: decode_stems(made[mode], decode, nothing)
    both = [ratios(ways, rounds) for ways in (rendering, decoding)]
    rows = [
        [name, *(text for part in both for text in (in_seconds(part[name][0]), f"{part[name][1]:.2f}"))]
        for name in rendering
    ]
    show(
        f"Stems: a window of {LAYERS} layers, {STEPS} step; 5 s decoded; medians of {rounds}, {machine()}",
        ["", "rendering s", "to the mix", "decoding s", "to the mix"],
        rows,
    )


def main() -> int:
    with torch.inference_mode():
        report(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
