"""`make bench`: what the loop of a song costs beside its steps, bare and in a node of a real ComfyUI.

Steps do nothing, so that steps a second are the loop's own: Python, progress, Cancel and events.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

import support.pack  # noqa: F401
from bench.table import machine, show
from support.comfy_server import ComfyServer

COSTLESS = Path(__file__).with_name("costless")


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as base,
        ComfyServer(Path(base), more_packs=[COSTLESS]) as server,
    ):
        run = server.run({"1": {"class_type": "LevoCostless", "inputs": {}}})
        if run.status != "success":
            raise SystemExit(run.error["exception_message"])
        speeds = run.outputs["1"]["speeds"]
    microseconds = {way: median(1e6 / s for w, s in speeds if w == way) for way in ("bare", "node")}
    rows = [[way, f"{1e6 / each:.0f}", f"{each:.2f}"] for way, each in microseconds.items()]
    show(f"The loop of a song whose steps do nothing; {machine()}", ["", "steps/s", "us a step"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
