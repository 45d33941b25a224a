"""Every loader where ComfyUI builds layers without weights, as it does under dynamic VRAM."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import releases, songs
from support.comfy_server import ComfyServer, Run
from support.release_texts import config_text
from support.released import released_tensors
from support.style_songs import TINY, style_prompt, write_clip

from levo.config import RELEASED_CONFIGS
from levo.files import released
from levo.lelm.model import LeLM

WEIGHTLESS = Path(__file__).with_name("weightless")
SHORT = {"max_seconds": 3}
LOADERS = {"lelm": "LeVoLoadLeLM", "renderer": "LeVoLoadRenderer", "vae": "LeVoLoadVAE"}
DTYPES = ["auto", "fp32", "bf16", "int8", "fp8_e4m3fn"]


@pytest.fixture(scope="module")
def weightless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    with ComfyServer(tmp_path_factory.mktemp("weightless"), more_packs=[WEIGHTLESS]) as running:
        assert "Cannot import" not in running.log()
        yield running


def finished(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt)
    assert run.status == "success", run.error
    return run


def test_a_song_in_the_style_of_a_clip_is_the_same(server: ComfyServer, weightless: ComfyServer):
    """All five models."""
    sounds = []
    for each in (server, weightless):
        write_clip(each)
        run = finished(each, style_prompt(compose=SHORT, loadlelm=songs.EXACT))
        sounds.append(songs.sound_of(each, run)[0])
    assert np.array_equal(*sounds)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_song_of_any_dtype_is_the_same(server: ComfyServer, weightless: ComfyServer, dtype: str):
    other = {"dtype": "auto" if dtype == "int8" else dtype}
    changes = {"loadlelm": {"dtype": dtype}, "loadrenderer": other, "compose": SHORT}
    one, again = (songs.make(each, **changes)[0] for each in (server, weightless))
    assert np.array_equal(one.sound, again.sound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_saved_models_load_and_make_the_same_song(weightless: ComfyServer, tmp_path: Path, dtype: str):
    dtypes = {"lelm": dtype, "renderer": "auto" if dtype == "int8" else dtype, "vae": "fp32"}
    folder = weightless.base / "models" / "levo" / tmp_path.name
    prompt: dict[str, Any] = {}
    for kind, node in LOADERS.items():
        prompt[kind] = {"class_type": node, "inputs": {"checkpoint": TINY, "dtype": dtypes[kind]}}
        inputs = {"model": [kind, 0], "name": f"{tmp_path.name}/{kind}", "dtype": "as loaded"}
        prompt[f"save {kind}"] = {"class_type": "LeVoSaveCheckpoint", "inputs": inputs}
    finished(weightless, prompt)
    made = [
        songs.make(
            weightless,
            compose=SHORT,
            **{f"load{kind}": {"checkpoint": choice(kind), "dtype": dtypes[kind]} for kind in LOADERS},
        )[0]
        for choice in (lambda kind: TINY, lambda kind: f"{tmp_path.name}/{kind}.safetensors")
    ]
    shutil.rmtree(folder)
    assert np.array_equal(made[0].sound, made[1].sound)


def write_small_release(folder: Path) -> None:
    """A model.pt with its config.yaml, partly in bf16 as v2 is."""
    config = replace(RELEASED_CONFIGS["v2-medium"], width=32, inner=48, heads=2, layers=2)
    tensors = released_tensors(LeLM(config, device="meta"), released.lelm_layout(config))
    folder.mkdir(parents=True)
    text = config_text("v2-medium", dim=32, inner=48, heads=2, layers=2)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    halves = {f"audiolm.{n}": t if releases.V2_IN_F32.fullmatch(f"audiolm.{n}") else t.bfloat16()
              for n, t in tensors.items()}  # fmt: skip
    torch.save(halves, folder / "model.pt")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_released_file_composes_the_same(server: ComfyServer, weightless: ComfyServer, dtype: str):
    made = []
    for each in (server, weightless):
        folder = each.base / "models" / "levo" / "small"
        write_small_release(folder)
        chosen = {"checkpoint": "small/model.pt", "dtype": dtype}
        made.append(songs.make(each, loadlelm=chosen, compose=SHORT)[0])
        each.clear_cache()
        shutil.rmtree(folder)
    assert np.array_equal(made[0].sound, made[1].sound)
