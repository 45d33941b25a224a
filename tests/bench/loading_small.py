"""How long small files of a full-size LeLM take to load, and how much RAM that needs.

GGUF files of the size of published ones, whose numbers are zero so that they take no disk, each into the
dtypes that people choose; and one of them as this pack saves it in int4. Each is loaded in a process of its
own. Needs 3 GB of disk below ~/.cache, and RAM for the largest of the models in the table.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import support.pack  # noqa: F401
import torch
from bench.loading import CACHE, GB, in_own_process, peak
from bench.table import clock, device, machine, on_card, show
from support import gguf_files, releases

from levo.command.precision import lelm_precision
from levo.config import RELEASED_CONFIGS
from levo.files import converted, released
from levo.files.checkpoint import open_checkpoint
from levo.files.converted import Provenance
from levo.files.loading import load_weights
from levo.kinds import Kind
from levo.lelm.model import LeLM

RELEASE = "v2-medium"
INT4 = "int4.safetensors"
CASES = [
    ("Q4_K_M.gguf", "int4"),
    ("Q4_K_M.gguf", "int8"),
    ("Q8_0.gguf", "int8"),
    ("Q8_0.gguf", "fp16"),
    (INT4, "int4"),
]


def loaded(path: Path, dtype: str) -> LeLM:
    """A model in a dtype chosen by name, filled as `levo` fills it."""
    config = RELEASED_CONFIGS[RELEASE]
    how = lelm_precision(dtype, "auto", config.head_width, device())
    model = LeLM(config, how.operations, how.attention, device="meta", dtype=how.dtype)
    load_weights(model, open_checkpoint(path), released.lelm_layout(config), device())
    return model


def make(folder: Path) -> None:
    """The GGUF files, and the first one saved anew in int4."""
    published = {
        gguf_files.lelm_name(name.removeprefix("audiolm.")): tuple(tensor.shape)
        for name, tensor in releases.lelm(RELEASE).items()
    }
    shapes = {name: shape for name, shape in published.items() if name is not None}
    config = RELEASED_CONFIGS[RELEASE]
    for kind in ("Q4_K_M", "Q8_0"):
        path, values = folder / f"{kind}.gguf", gguf_files.lelm_values(config)
        gguf_files.write_hole(path, "levo2", values, shapes, gguf_files.profile(kind))
    model, origin = loaded(folder / "Q4_K_M.gguf", "int4"), Provenance("benchmark", "")
    converted.save(folder / INT4, model, Kind.LELM, config, origin, None, lambda done, total: None)


def measure(path: Path, dtype: str) -> None:
    """Load a file and print seconds, peak RAM in bytes and the size of the weights in bytes."""
    with torch.inference_mode():
        start = clock()
        model = loaded(path, dtype)
        seconds = clock() - start
        print(seconds, peak(), sum(tensor.nbytes for tensor in model.state_dict().values()))


def report(folder: Path) -> None:
    """Make the files, measure every case and print a table."""
    print(f"Making small files of the size of {RELEASE}", file=sys.stderr)
    in_own_process(__file__, "make", folder)
    rows = []
    for name, dtype in CASES:
        path = folder / name
        seconds, most, weights = map(float, in_own_process(__file__, path, dtype).split())
        figures = path.stat().st_size / GB, seconds, weights / GB, most / GB
        rows.append([name, dtype, *(f"{figure:.2f}" for figure in figures)])
    place = " onto the card" if on_card() else ""
    head = ["file", "as", "file GB", "seconds", "weights GB", "peak GB of RAM"]
    show(f"Loading small files of {RELEASE}{place}; {machine()}", head, rows)


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
