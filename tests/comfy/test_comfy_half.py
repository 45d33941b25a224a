"""What `auto` and `fp16` mean for LeLM in a real ComfyUI on a CPU, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import songs
from safetensors import safe_open
from server import ComfyServer

from levo import half

pytestmark = pytest.mark.skipif(not half.is_there(), reason="this CPU has no FBGEMM")

SHORT = {"max_seconds": 4}


def test_auto_loads_fp16_matrices_and_float32_tables(server: ComfyServer, tmp_path: Path):
    prompt = songs.song_prompt(compose=SHORT)
    loader = next(node for node, entry in prompt.items() if entry["class_type"] == "LeVoLoadLeLM")
    inputs = {"model": [loader, 0], "name": f"{tmp_path.name}/auto", "dtype": "as loaded"}
    prompt["save"] = {"class_type": "LeVoSaveCheckpoint", "inputs": inputs}
    prompt["path"] = {"class_type": "PreviewAny", "inputs": {"source": ["save", 0]}}
    run = server.run(prompt)
    assert run.status == "success", run.error
    path = Path(run.outputs["path"]["text"][0])
    with safe_open(path, framework="pt") as file:
        dtypes = {name: file.get_slice(name).get_dtype() for name in file}
    assert dtypes["heads.0.weight"] == dtypes["bridge_in.weight"] == "F16"
    assert dtypes["bridge_in.bias"] == dtypes["codes.0.weight"] == "F32"
    options = server.get("/object_info/LeVoLoadLeLM")["LeVoLoadLeLM"]["input"]["required"]["checkpoint"][1]
    (choice,) = (option for option in options["options"] if path.stem in option)
    again, _ = songs.make(server, compose=SHORT, loadlelm={"checkpoint": choice})
    path.unlink()
    assert np.array_equal(again.sound, songs.song_of(server, run).sound)


def test_fp16_is_auto(server: ComfyServer):
    auto, fp16 = (songs.make(server, compose=SHORT, loadlelm={"dtype": d})[0] for d in ("auto", "fp16"))
    assert np.array_equal(auto.sound, fp16.sound)
