"""What people do in the real frontend: every exported function of scenarios/*.mjs is a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from support.comfy_server import ComfyServer

HERE = Path(__file__).parent
FILES = sorted((HERE / "scenarios").glob("*.mjs"))
SCENARIO = re.compile(r"^export async function (\w+)", re.MULTILINE)
SCENARIOS = [(file, name) for file in FILES for name in SCENARIO.findall(file.read_text("utf-8"))]


@pytest.fixture(scope="module")
def outcomes(server: ComfyServer) -> dict[Path, dict[str, str]]:
    """File -> scenario -> what went wrong; filled by the first test of a file, which runs all of them."""
    return {}


@pytest.mark.parametrize(
    ("file", "name"), SCENARIOS, ids=[f"{file.stem}-{name}" for file, name in SCENARIOS]
)
def test_scenario(server: ComfyServer, outcomes: dict[Path, dict[str, str]], file: Path, name: str):
    if file not in outcomes:
        outcomes[file] = run(server, file)
    assert outcomes[file][name] == ""


def run(server: ComfyServer, file: Path) -> dict[str, str]:
    if "LEVO_BROWSER_DIR" not in os.environ:
        pytest.fail("LEVO_BROWSER_DIR is not set; run the tests with make test.")
    command = ["node", str(HERE / "run_scenarios.mjs"), server.url, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
