"""Runs a script of this folder in a process of its own, because it imports ComfyUI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from server import comfyui_folder


def findings_of(script: str) -> dict[str, Any]:
    """What a script printed as JSON; it is given ComfyUI's folder."""
    command = [sys.executable, str(Path(__file__).with_name(script)), str(comfyui_folder())]
    environment = {**os.environ, "COMFYUI_DIR": str(comfyui_folder()), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
