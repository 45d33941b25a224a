"""`make bench`: seconds that the style encoder takes for a clip of 10 s, at its real size.

Random numbers in float32. Beside each track stands the published way of convolving all 40 s that the
encoder sees, of which three quarters are the clip again. The ways take turns. On a CUDA card where there is
one. Argument: rounds (1).
"""

from __future__ import annotations

import statistics
import sys
from functools import partial

import support.pack  # noqa: F401
import torch
from bench.table import device, in_seconds, in_turns, machine, seconds, show, tf32
from torch import Tensor

from levo import tiny
from levo.config import MIXED_ENCODER, PROMPT_FRAMES, SAMPLES_PER_FRAME, TRACK_ENCODER
from levo.layers.tables import tile
from levo.style_encoder.encode import CONTEXT, StyleEncoder

LIMIT = 0.03  # of the codes that may differ: near ties exist


def plainly(encoder: StyleEncoder, clip: Tensor, track: str) -> Tensor:
    """Codes by convolving everything."""
    return encoder.quantizers[track](encoder.features(tile(clip, CONTEXT), track))


def row(encoder: StyleEncoder, clip: Tensor, track: str, rounds: int) -> list[str]:
    """A track, its layers, seconds of both ways and their ratio."""
    ways = {"ours": partial(encoder, clip, track), "plain": partial(plainly, encoder, clip, track)}
    with tf32(False):
        codes = [way() for way in ways.values()]
    if (codes[0] != codes[1]).float().mean() > LIMIT:
        raise SystemExit(f"The codes of {track} differ between both ways.")
    times = in_turns({name: partial(seconds, way) for name, way in ways.items()}, rounds)
    ours, plain = (statistics.median(spent) for spent in times.values())
    depth = encoder.config.depth_of(track)
    return [track, str(depth), in_seconds(ours), in_seconds(plain), f"{plain / ours:.2f}"]


def report(rounds: int) -> None:
    """Print one table: a row a track."""
    clip = 0.1 * torch.randn(1, PROMPT_FRAMES * SAMPLES_PER_FRAME).to(device())
    rows = []
    for config in (TRACK_ENCODER, MIXED_ENCODER):
        encoder = StyleEncoder(config)
        tiny.init_weights(encoder, device())
        rows += [row(encoder, clip, track, rounds) for track in config.tracks]
    show(
        f"Style encoder: a clip of 10 s, medians of {rounds}, {machine()}",
        ["track", "layers", "seconds", "all 40 s convolved", "ratio"],
        rows,
    )


def main() -> int:
    torch.manual_seed(0)
    with torch.inference_mode():
        report(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
