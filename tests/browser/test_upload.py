"""The real frontend in Chromium: a song is uploaded with the button of LeVo Load Tokens."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.comfy_server import ComfyServer

SCRIPT = Path(__file__).parent / "upload_tokens.mjs"


def test_the_button_uploads_a_file_chooses_it_and_stays_out_of_the_workflow(
    server: ComfyServer, tmp_path: Path
):
    if "LEVO_BROWSER_DIR" not in os.environ:
        pytest.fail("LEVO_BROWSER_DIR is not set; run the tests with make test.")
    song = tmp_path / "from this computer.safetensors"
    song.write_bytes(b"a song")
    command = ["node", str(SCRIPT), server.url, str(song)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert (server.base / "input" / song.name).read_bytes() == b"a song"
    assert found["value"] == found["choices"][0] == song.name
    assert found["saved"] == [song.name]
    (node,) = found["prompt"].values()
    assert node["inputs"] == {"file": song.name}
