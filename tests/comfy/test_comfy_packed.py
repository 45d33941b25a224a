"""What `auto` and `fp16` mean for LeLM in a real ComfyUI on a CPU, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import songs
from support.comfy_server import ComfyServer

from levo.files.tensor_file import read
from levo.layers import fbgemm

pytestmark = pytest.mark.skipif(not fbgemm.is_available(), reason="this CPU has no FBGEMM")

SHORT = {"max_seconds": 4}


def test_auto_loads_fp16_matrices_and_float32_tables(server: ComfyServer, tmp_path: Path):
    run = server.run(songs.saving(songs.song_prompt(compose=SHORT), f"{tmp_path.name}/auto"))
    assert run.status == "success", run.error
    path = Path(run.outputs["path"]["text"][0])
    dtypes = {name: tensor.dtype for name, tensor in read(path).items()}
    assert dtypes["heads.0.weight"] == dtypes["bridge_in.weight"] == torch.float16
    assert dtypes["bridge_in.bias"] == dtypes["codes.0.weight"] == torch.float32
    from_file = {"checkpoint": songs.choice_of(server, path)}
    again, _ = songs.make(server, compose=SHORT, loadlelm=from_file)
    path.unlink()
    assert np.array_equal(again.sound, songs.song_of(server, run).sound)


def test_fp16_is_auto(server: ComfyServer):
    auto, fp16 = (songs.make(server, compose=SHORT, loadlelm={"dtype": d})[0] for d in ("auto", "fp16"))
    assert np.array_equal(auto.sound, fp16.sound)
