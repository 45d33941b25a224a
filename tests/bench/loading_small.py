"""`make bench`: how long small files of LeLM take to load on a CPU, and how much RAM that needs.

GGUF files of v2-medium's width and tables but of few layers, and the same in int4 as LeVo Save Checkpoint
writes it, each loaded in a process of its own into dtypes that people choose for it. Seconds are of the
processor, on one thread, which other programs hardly disturb; those of the layers, which are alike, are
extrapolated to all of them. What RAM takes beside the weights at its peak does not grow with them. Numbers
are zero and take no disk: a first load also waits for that. Needs 1 GB of disk below ~/.cache and 6 of RAM.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import support.pack  # noqa: F401
import torch
from bench.loading import CACHE, GB, in_own_process, peak
from bench.table import machine, show
from support import gguf_files, releases
from torch import Tensor, nn

from levo.command.precision import lelm_precision
from levo.config import RELEASED_CONFIGS, LelmConfig
from levo.files import converted, released
from levo.files.checkpoint import open_checkpoint
from levo.files.converted import Provenance
from levo.files.loading import load_weights
from levo.files.released import loading
from levo.kinds import Kind
from levo.layers import quantised
from levo.layers.choices import INT4, PLAIN, TABLE
from levo.lelm.model import LeLM

RELEASE = "v2-medium"
LAYERS, LAYERS_SUB = 2, 2  # of the files that are measured
CPU = torch.device("cpu")
FOR_A_CARD = "fp16, for a card"  # what is then moved there; the others are packed as a CPU wants them
OURS = "int4.safetensors"
CASES = [
    ("Q8_0.gguf", FOR_A_CARD),
    ("Q8_0.gguf", "fp16"),
    ("Q8_0.gguf", "int8"),
    ("Q6_K.gguf", "int8"),
    ("Q4_K_M.gguf", "int8"),
    ("Q4_K_M.gguf", "int4"),
    (OURS, "int4"),
]


def of_depth(layers: int = LAYERS, layers_sub: int = LAYERS_SUB) -> LelmConfig:
    """The release with fewer layers."""
    return replace(RELEASED_CONFIGS[RELEASE], layers=layers, layers_sub=layers_sub)


def empty(choice: str, config: LelmConfig) -> LeLM:
    """A model without numbers, of the layers that `levo` chooses for a dtype."""
    if choice == FOR_A_CARD:
        return LeLM(config, device="meta", dtype=torch.float16)
    how = lelm_precision(choice, "auto", config.head_width, CPU)
    return LeLM(config, how.operations, how.attention, device="meta", dtype=how.dtype)


def make(folder: Path) -> None:
    """The GGUF files, and a file in int4."""
    config = of_depth()
    shapes = {
        name: tuple(tensor.shape)
        for source, tensor in releases.lelm(RELEASE).items()
        if (name := gguf_files.lelm_name(source)) is not None and is_within(name)
    }
    values = gguf_files.lelm_values(config)
    for kind in ("Q8_0", "Q6_K", "Q4_K_M"):
        gguf_files.write_hole(folder / f"{kind}.gguf", "levo2", values, shapes, gguf_files.profile(kind))
    layers = quantised.operations(nn, PLAIN[INT4], TABLE)
    model = LeLM(config, layers, device="meta", dtype=torch.float16).to_empty(device=CPU)
    for tensor in model.state_dict().values():
        tensor.zero_()
    origin = Provenance("benchmark", "")
    converted.save(folder / OURS, model, Kind.LELM, config, origin, None, lambda done, total: None)


def is_within(name: str) -> bool:
    """Whether a tensor of a GGUF file is of the first layers, or of no layer."""
    found = re.match(r"(main|detail)\.blk\.(\d+)\.", name)
    return not found or int(found[2]) < (LAYERS if found[1] == "main" else LAYERS_SUB)


class LayersTimed:
    """Seconds of the processor that go to blocks while a model is loaded, tensor after tensor."""

    def __init__(self) -> None:
        self.seconds, self._values = 0.0, loading._values
        loading._values = self

    def __call__(self, *how: object) -> Iterator[tuple[str, Tensor]]:
        begin = time.process_time()
        for name, tensor in self._values(*how):
            yield name, tensor  # and it is packed or rounded, until the next one is asked for
            begin, before = time.process_time(), begin
            self.seconds += begin - before if ".blocks." in name else 0.0


def measure(path: Path, choice: str) -> None:
    """Load a file; prints seconds, those of layers, and bytes of RAM beside the weights at the peak."""
    torch.set_num_threads(1)
    before, layers = peak(), LayersTimed()
    with torch.inference_mode():
        begin = time.process_time()
        file = open_checkpoint(path)
        config = file.config(Kind.LELM)
        model = empty(choice, config)
        load_weights(model, file, released.lelm_layout(config), CPU)
        seconds = time.process_time() - begin
    print(seconds, layers.seconds, peak() - before - bytes_of(model))


def bytes_of(model: nn.Module) -> int:
    """Bytes of the numbers of a model."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def row(path: Path, choice: str) -> list[str]:
    """A line of the table."""
    whole = RELEASED_CONFIGS[RELEASE]
    deeper = (whole.layers + whole.layers_sub) / (LAYERS + LAYERS_SUB) - 1
    seconds, of_layers, beside = map(float, in_own_process(__file__, path, choice).split())
    weights = bytes_of(empty(choice, whole))
    cells = seconds, seconds + of_layers * deeper, weights / GB, (weights + beside) / GB
    return [path.name, choice, *(f"{cell:.1f}" for cell in cells)]


def report(folder: Path) -> None:
    """Make the files, measure every case and print a table."""
    print(f"Making small files of the width of {RELEASE}", file=sys.stderr)
    in_own_process(__file__, "make", folder)
    whole = RELEASED_CONFIGS[RELEASE]
    depth, few = f"{whole.layers}+{whole.layers_sub}", f"{LAYERS}+{LAYERS_SUB}"
    show(
        f"Loading small files of {RELEASE}, seconds of the processor on one thread; {machine()}\n"
        f"Measured with {few} layers; {depth} are extrapolated from the time of a layer",
        ["file", "as", f"{few}: seconds", f"{depth}: seconds", "weights GB", "peak GB of RAM"],
        [row(folder / name, choice) for name, choice in CASES],
    )


def main() -> int:
    if len(sys.argv) == 3:
        first, second = sys.argv[1:]
        make(Path(second)) if first == "make" else measure(Path(first), second)
        return 0
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        report(folder)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
