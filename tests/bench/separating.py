"""`make bench`: seconds that splitting takes for a minute of a song, and the memory a window takes.

HTDemucs at its released size with random numbers, which take as long as the released ones. Beside it the
package's own apply_model. Both ways take turns. On a CUDA card where there is one. Arguments: seconds of
the song (30), rounds (2).
"""

from __future__ import annotations

import random
import statistics
import sys
from functools import partial

import support.pack  # noqa: F401
import torch
from bench.table import device, in_turns, machine, seconds, show, tf32

from levo import tiny
from levo.config import SeparatorConfig
from levo.memory import separate_bytes
from levo.separator.model import build
from levo.separator.split import split

SEED = 1
LIMIT = 1e-4  # of the largest difference, in standard deviations of the stems


def report(config: SeparatorConfig, length: float, rounds: int) -> None:
    """Check that both ways agree, then print the table."""
    from demucs_infer.apply import apply_model

    model = build(config)
    tiny.init_weights(model, device())
    mix = torch.randn(1, 2, int(length * config.sample_rate), generator=torch.Generator().manual_seed(SEED))
    mix -= mix.mean()
    mix /= mix.mean(dim=1).std()  # as both ways want it: nothing left to scale

    def published() -> torch.Tensor:
        random.seed(SEED)
        return apply_model(model, mix, shifts=1, device=device())[0]

    with tf32(False):
        ours, theirs = split(model, config, mix, config.sample_rate, SEED, device()), published()
    error = float((ours.vocals[0] - theirs[config.stems.index("vocals")]).abs().max() / theirs.std())
    if not error < LIMIT:
        raise SystemExit(f"Ours and the package's stems differ by {error:.1e} standard deviations.")
    ways = {
        "LeVo Split Vocals": lambda: split(model, config, mix, config.sample_rate, SEED, device()),
        "the same, from and to 48 kHz": lambda: split(model, config, mix, 48_000, SEED, device()),
        "demucs-infer's apply_model": published,
    }
    times = in_turns({name: partial(seconds, way) for name, way in ways.items()}, rounds)
    rows = [[name, f"{statistics.median(found) * 60 / length:.1f}"] for name, found in times.items()]
    title = f"Splitting a song of {length:g} s, fp32, random weights, medians of {rounds}, {machine()}"
    show(title, ["way", "seconds a minute of sound"], rows)
    print(f"Memory asked for beside the weights: {separate_bytes(config) / 1e6:.0f} MB\n")


def main() -> int:
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with torch.inference_mode():
        report(SeparatorConfig(), length, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
