"""What a CUDA card makes of the pack, against its bounds: `python tests/bench/gpu_check.py`.

Needs torch and a card, and no ComfyUI but for the last part; weights are random, at full size. Each part
runs in a process of its own, so that one that breaks the card's state or hangs leaves the others alone.
`--dry` tries the script itself: tiny sizes, on the CPU, and no figure is judged. Exit status 1 if a bound
was missed or something failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from unittest.mock import MagicMock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
if importlib.util.find_spec("tokenizers") is None:  # `levo.lelm` imports it, and nothing here uses it
    sys.modules |= {name: MagicMock() for name in ("tokenizers", "tokenizers.models")}

import support.pack  # noqa: F401
import torch
from bench.gpu.report import FAILED, SKIPPED, Figure, Report, figures_in, summary
from bench.gpu.setting import dry, full
from bench.table import driver

STARTING = 20  # seconds that a part needs at least


@dataclass(frozen=True)
class Part:
    """A part of the check."""

    module: str  # of bench.gpu
    seconds: int  # after which it is stopped
    function: str = "run"
    environment: dict[str, str] = field(default_factory=dict)


ASYNC = {"PYTORCH_CUDA_ALLOC_CONF": "backend:cudaMallocAsync"}  # as ComfyUI starts torch
PARTS = {
    "same": Part("same", 120),
    "loop": Part("loop", 240),
    "allocator": Part("loop", 60, "run_suspects"),
    "async allocator": Part("loop", 60, "run_suspects", ASYNC),
    "products": Part("products", 150),
    "renderer": Part("flow", 90),
    "memory": Part("memory", 120),
    "song": Part("song", 150),
    "server": Part("served", 280),
    "static server": Part("served", 280, "run_static"),
}


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parts", default=",".join(PARTS), help="those to run, with commas; all by default"
    )
    parser.add_argument("--dry", action="store_true", help="try the script itself, on the CPU")
    parser.add_argument("--out", type=Path, help="file for all figures, as JSON")
    parser.add_argument("--comfyui", type=Path, help="ComfyUI's folder, for the parts with a server")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for everything")
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)  # of a part in its own process
    asked = parser.parse_args()
    asked.parts = [part.strip() for part in asked.parts.split(",")]
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return asked


def run_here(asked: argparse.Namespace) -> None:
    """Run one part in this process."""
    logging.basicConfig(level=logging.INFO, format="    %(message)s", stream=sys.stdout)
    (name,) = asked.parts
    part, setting = PARTS[name], dry(asked.comfyui) if asked.dry else full(asked.comfyui)
    work = getattr(import_module(f"bench.gpu.{part.module}"), part.function)
    if setting.dry:  # on a busy machine threads wait for each other longer than they compute
        torch.set_num_threads(1)
    report = Report(name, asked.figures, asked.dry)
    with torch.inference_mode(), report.case("all"):
        work(report, setting)


def run_apart(name: str, asked: argparse.Namespace, folder: Path, left: float) -> list[Figure]:
    """Run one part in a process of its own, and give its figures; that it failed is one of them."""
    part, file = PARTS[name], folder / f"{name}.jsonl"
    if PARTS[name].module == "served" and asked.comfyui is None:
        return [Figure(name, "all", verdict=SKIPPED, note="no --comfyui")]
    if left < STARTING:
        return [Figure(name, "all", verdict=SKIPPED, note="no time is left")]
    command = [sys.executable, str(Path(__file__).resolve()), "--parts", name, "--figures", str(file)]
    command += ["--dry"] if asked.dry else []
    command += ["--comfyui", str(asked.comfyui)] if asked.comfyui else []
    environment = {**os.environ, **part.environment, "PYTHONUNBUFFERED": "1"}
    start, limit = time.monotonic(), min(part.seconds, left)
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait(limit)
        trouble = f"ended with code {code}" if code else ""
    except subprocess.TimeoutExpired:
        trouble = f"was stopped after {limit:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    failure = [Figure(name, "all", verdict=FAILED, note=trouble)] if trouble else []
    took = Figure(name, "time of the part", time.monotonic() - start, "s")
    return [*figures_in(file), *failure, took]


def described() -> dict[str, str]:
    """Card, driver, versions and date."""
    card = "no card"
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        size = f"{about.multi_processor_count} multiprocessors, {about.total_memory / 1e9:.1f} GB"
        card = f"{about.name}, {size}"
    return {
        "card": card,
        "driver": driver(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def main() -> int:
    asked = arguments()
    if asked.figures:
        run_here(asked)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no part is left behind
    about = described()
    print("dry run;" if asked.dry else "", *(f"{name} {text};" for name, text in about.items()), flush=True)
    if not (asked.dry or torch.cuda.is_available()):
        print("There is no CUDA card here; --dry tries the script itself.")
        return 1
    end, figures = time.monotonic() + asked.limit, []
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.parts:
            print(f"-- {name}", flush=True)
            figures += run_apart(name, asked, Path(folder), end - time.monotonic())
            if asked.out:
                made = {**about, "dry": asked.dry, "figures": [asdict(figure) for figure in figures]}
                asked.out.write_text(json.dumps(made, indent=1), "utf-8")
    return 0 if summary("; ".join(about.values()), figures) else 1


if __name__ == "__main__":
    sys.exit(main())
