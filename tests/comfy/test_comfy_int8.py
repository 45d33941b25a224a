"""A song whose language model is int8, in a real ComfyUI; and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from support import songs
from support.comfy_server import ComfyServer
from support.sentences import assert_one_sentence

SHORT = {"max_seconds": 4}
INT8 = {"dtype": "int8"}


@pytest.fixture(scope="module")
def song(server: ComfyServer) -> songs.Song:
    return songs.make(server, loadlelm=INT8, compose=SHORT)[0]


def test_int8_makes_a_song_that_is_heard(song: songs.Song):
    whole = int(song.seconds)  # it may end before its limit, which moves with the rounding of the CPU
    assert whole >= 1
    assert song.sound.shape == (round(song.seconds * songs.SAMPLE_RATE), 2)
    seconds = song.sound[: whole * songs.SAMPLE_RATE].reshape(whole, -1, 2)
    assert (np.sqrt((seconds**2).mean(axis=1)) > 1e-3).all()


def test_the_same_seed_makes_the_same_song_again(server: ComfyServer, song: songs.Song):
    server.clear_cache()
    again, _ = songs.make(server, loadlelm=INT8, compose=SHORT)
    assert np.array_equal(again.sound, song.sound)


def test_int8_is_the_language_models_choice_alone(object_info):
    choices = {
        node: object_info[node]["input"]["required"]["dtype"][1]["options"]
        for node in ("LeVoLoadLeLM", "LeVoLoadRenderer", "LeVoLoadVAE", "LeVoSaveCheckpoint")
    }
    assert [node for node, options in choices.items() if "int8" in options] == ["LeVoLoadLeLM"]


@pytest.mark.parametrize(("dtype", "stored"), [("int8", "I8"), ("int4", "U8")])
def test_a_small_model_is_saved_as_loaded_and_makes_the_same_song(
    server: ComfyServer, tmp_path: Path, dtype: str, stored: str
):
    load = {"dtype": dtype}
    song, _ = songs.make(server, loadlelm=load, compose=SHORT)
    run = server.run(
        songs.saving(songs.song_prompt(loadlelm=load, compose=SHORT), f"{tmp_path.name}/{dtype}")
    )
    assert run.status == "success", run.error
    path = Path(run.outputs["path"]["text"][0])
    with safe_open(path, framework="pt") as file:
        assert file.get_slice("heads.0.weight").get_dtype() == stored
    from_file = {**load, "checkpoint": songs.choice_of(server, path)}
    again, _ = songs.make(server, loadlelm=from_file, compose=SHORT)
    path.unlink()
    assert np.array_equal(again.sound, song.sound)


def test_an_int8_model_is_not_saved_in_another_dtype(server: ComfyServer):
    prompt = songs.song_prompt(loadlelm=INT8, compose=SHORT)
    prompt = songs.saving(prompt, "never", "bf16")
    loader, _ = prompt["save"]["inputs"]["model"]
    run = server.run({name: prompt[name] for name in (loader, "save")})
    assert run.status == "error"
    assert_one_sentence(run.error["exception_message"])
    assert "as loaded" in run.error["exception_message"]


@pytest.mark.parametrize("load", [{"dtype": "int4"}, {"cache": "int8"}, {"dtype": "int4", "cache": "int8"}])
def test_other_small_numbers_make_songs_too(server: ComfyServer, load: dict[str, str]):
    small, _ = songs.make(server, loadlelm=load, compose=SHORT)
    assert small.seconds >= 1
    assert np.sqrt((small.sound**2).mean()) > 1e-3
