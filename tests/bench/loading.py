"""`make bench`: how long a full-size LeLM takes to load and how much RAM it needs, by kind of file.

Makes v2-medium with random numbers (7 GB, then converted), loads each file in a process of its own, and
compares with reading the whole file first. The files are in the page cache by then: a first load also waits
for the disk. Where there is a CUDA card, models then go onto it, which counts. Needs 14 GB of disk below
~/.cache and 13 GB of RAM.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import support.pack  # noqa: F401
import torch
from bench.table import clock, device, machine, on_card, show
from support import checkpoints, releases
from support.release_texts import config_text
from torch import nn

from levo.files import converted, released
from levo.files.converted import Provenance
from levo.files.released import loading
from levo.kinds import Kind
from levo.layers import fbgemm
from levo.lelm.model import LeLM

RELEASE, DTYPE = "v2-medium", torch.float16 if on_card() else torch.bfloat16
GB = 1e9
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "comfyui-levo"


def plainly(model: nn.Module, path: Path, layout: released.Layout) -> None:
    """As it is often done: the whole file in RAM, then copied into the model."""
    tensors = torch.load(path, weights_only=True)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            source = layout.sources[name]
            tensor.copy_(source.build(*(tensors[f"audiolm.{each}"] for each in source.names)))


def ours(model: nn.Module, path: Path, layout: released.Layout) -> None:
    """As the nodes do it."""
    checkpoints.load_weights(model, path, layout, "cpu")


def touched(model: nn.Module, path: Path, layout: released.Layout) -> None:
    """As the nodes do it, and every number read once, as the first song does."""
    checkpoints.load_weights(model, path, layout, "cpu")
    for tensor in model.state_dict().values():
        tensor.view(torch.int16).sum()


def unchecked(model: nn.Module, path: Path, layout: released.Layout) -> None:
    """As the nodes do it, but for the pass over all numbers that finds NaN and Inf."""
    loading._require_finite = lambda *_: None
    checkpoints.load_weights(model, path, layout, "cpu")


WAYS = {way.__name__: way for way in (plainly, ours, touched, unchecked)}
WAYS["for_a_cpu"] = ours  # into a model whose matrices are packed
CASES = [
    ("model.pt, whole file first", "plainly", "model.pt"),
    ("model.pt, as the node loads it", "ours", "model.pt"),
    *([] if on_card() else [("model.pt, packed as fp16 for a CPU", "for_a_cpu", "model.pt")]),
    ("model.pt, without the check for NaN", "unchecked", "model.pt"),
    ("converted, as the node loads it", "ours", "converted.safetensors"),
    ("converted, without the check for NaN", "unchecked", "converted.safetensors"),
    ("converted, and every weight read", "touched", "converted.safetensors"),
]


def make(folder: Path) -> None:
    """The release with random numbers, and its conversion."""
    pool = torch.randn(250_000_000)
    tensors = {
        name: pool[: tensor.numel()].view(tensor.shape).to(tensor.dtype, copy=True)
        for name, tensor in releases.lelm(RELEASE).items()
    }
    torch.save(tensors, folder / "model.pt")
    del tensors, pool
    (folder / "config.yaml").write_text(config_text(RELEASE), "utf-8")
    config = checkpoints.lelm_config(folder / "model.pt")
    model = LeLM(config, dtype=DTYPE)
    checkpoints.load_weights(model, folder / "model.pt", released.lelm_layout(config))
    target, origin = folder / "converted.safetensors", Provenance("benchmark", "")
    converted.save(target, model, Kind.LELM, config, origin, None, lambda done, total: None)


def peak() -> int:
    """Most bytes of RAM that this process has had, mapped files included."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def measure(way: str, path: Path) -> None:
    """Load a file and print seconds, peak RAM in bytes and the size of the weights in bytes."""
    with torch.inference_mode():
        start = clock()
        config = checkpoints.lelm_config(path.with_name("model.pt"))
        layers, dtype = (fbgemm.operations(nn), torch.float32) if way == "for_a_cpu" else (nn, DTYPE)
        model = LeLM(config, layers, device="meta", dtype=dtype)
        WAYS[way](model, path, released.lelm_layout(config))
        if on_card():
            model.to(device())
        seconds = clock() - start
        print(seconds, peak(), sum(t.nbytes for t in model.state_dict().values()))


def report(folder: Path) -> None:
    """Make the files, measure every case and print a table."""
    print(f"Making a LeLM of the size of {RELEASE}", file=sys.stderr)
    in_own_process(__file__, "make", folder)
    rows, first = [], None
    for label, way, name in CASES:
        path = folder / name
        seconds, most, weights = map(float, in_own_process(__file__, way, path).split())
        first = first or seconds
        figures = path.stat().st_size / GB, seconds, seconds / first, most / GB, (most - weights) / GB
        rows.append([label, *(f"{figure:.2f}" for figure in figures)])
    head = ["file and way", "file GB", "seconds", "ratio", "peak GB", "over weights"]
    show(f"Loading {RELEASE} in {str(DTYPE).removeprefix('torch.')}; {machine()}", head, rows)


def in_own_process(script: str, *arguments: str | Path) -> str:
    """Run one step of a benchmark anew, so that the peak is its own; gives what it printed."""
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> int:
    if len(sys.argv) == 3:
        way, path = sys.argv[1], Path(sys.argv[2])
        make(path) if way == "make" else measure(way, path)
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
