"""What people do in the real frontend: every exported function of scenarios/*.mjs is a test.

Where the frontend has Nodes 2.0 in earnest, they are done in both modes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from support.comfy_server import ComfyServer
from support.frontend import frontend_version

HERE = Path(__file__).parent
FILES = sorted((HERE / "scenarios").glob("*.mjs"))
SCENARIO = re.compile(r"^export async function (\w+)", re.MULTILINE)
IN_EARNEST = (1, 40)  # the first frontend whose Nodes 2.0 is no beta
FRONTEND = frontend_version()
# Mode -> how it is called in a test's name.
MODES = {"canvas": "", "vue": "-vue"} if FRONTEND >= IN_EARNEST else {"canvas": ""}
ON_CANVAS = ("canvas",)  # files that are about the canvas
SINCE = {"app_mode": (1, 41)}  # files that are about what older frontends do not have


def skipping(file: Path) -> pytest.MarkDecorator:
    """A mark for what this frontend does not have."""
    since = SINCE.get(file.stem, (0, 0))
    reason = "of frontend {}.{} and newer; this is {}.{}".format(*since, *FRONTEND)
    return pytest.mark.skipif(since > FRONTEND, reason=reason)


SCENARIOS = [
    pytest.param(file, name, mode, marks=skipping(file), id=f"{file.stem}-{name}{MODES[mode]}")
    for file in FILES
    for name in SCENARIO.findall(file.read_text("utf-8"))
    for mode in MODES
    if mode == "canvas" or file.stem not in ON_CANVAS
]
Outcomes = dict[tuple[Path, str], dict[str, str]]


@pytest.fixture(scope="module")
def outcomes(server: ComfyServer) -> Outcomes:
    """File and mode -> scenario -> what went wrong; filled by the first test, which runs all of a file."""
    return {}


@pytest.mark.parametrize(("file", "name", "mode"), SCENARIOS)
def test_scenario(server: ComfyServer, outcomes: Outcomes, file: Path, name: str, mode: str):
    if (file, mode) not in outcomes:
        outcomes[file, mode] = run(server, file, mode)
    assert outcomes[file, mode][name] == ""


def run(server: ComfyServer, file: Path, mode: str) -> dict[str, str]:
    if "LEVO_BROWSER_DIR" not in os.environ:
        pytest.fail("LEVO_BROWSER_DIR is not set; run the tests with make test.")
    command = ["node", str(HERE / "run_scenarios.mjs"), server.url, str(file)]
    environment = {**os.environ, "LEVO_NODES": mode, "ONLY": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
