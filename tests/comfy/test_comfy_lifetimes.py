"""Nothing of a node's run outlives it under ComfyUI's memory manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from server import comfyui_folder

SCRIPT = Path(__file__).with_name("lifetimes.py")
NODES = ["LeVoCompose", "LeVoRender", "LeVoSong", "LeVoSong heard", "LeVoDecode"]
MOST_GROWTH = 1_000_000  # bytes a run; one cache of the tiny model that stayed would be more


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What lifetimes.py saw."""
    command = [sys.executable, str(SCRIPT), str(comfyui_folder())]
    environment = {**os.environ, "COMFYUI_DIR": str(comfyui_folder()), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("way", ["returned", "cancelled", "failed"])
@pytest.mark.parametrize("node", NODES)
def test_no_tensor_of_a_run_lives_on(findings: dict[str, Any], node: str, way: str):
    assert findings["nodes"][node]["made"] > 100
    assert findings["nodes"][node][way] == []


@pytest.mark.parametrize("node", NODES)
def test_ten_runs_hold_no_more_than_the_first(findings: dict[str, Any], node: str):
    held, memory = (findings["nodes"][node][what] for what in ("tensors", "memory"))
    assert held == held[:1] * 10
    # What stays grows with each run; memory that the allocator keeps or returns comes in single steps.
    assert median(after - before for before, after in pairwise(memory)) < MOST_GROWTH


def test_song_gives_what_compose_and_render_give_however_many_models_fit(findings: dict[str, Any]):
    assert findings["same in one"]
