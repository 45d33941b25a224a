"""Runs a script of tests/comfy in a process of its own, because it imports ComfyUI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.comfy_server import comfyui_folder

TESTS = Path(__file__).resolve().parents[1]


def findings_of(script: str) -> dict[str, Any]:
    """What a script printed as JSON."""
    comfyui = str(comfyui_folder())
    environment = {
        **os.environ,
        "COMFYUI_DIR": comfyui,
        "PYTHONPATH": os.pathsep.join([comfyui, str(TESTS)]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(TESTS / "comfy" / script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
