"""A song in the style of a clip in a real ComfyUI: from a WAV on the disk to sound, on the tiny models."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from support import releases, songs
from support.comfy_server import ComfyServer, Run
from support.sentences import assert_one_sentence
from support.style_songs import (
    ENCODER,
    HEARD,
    LOAD,
    NO_STYLE,
    SEPARATOR,
    SPLIT,
    STYLE,
    TINY,
    style_prompt,
    write_clip,
)


def done(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt)
    assert run.status == "success", run.error
    return run


def refused(server: ComfyServer, prompt: dict[str, Any], node: str) -> str:
    run = server.run(prompt)
    assert run.status == "error"
    assert run.error["node_id"] == node
    sentence = run.error["exception_message"].strip()
    assert_one_sentence(sentence)
    return sentence


@pytest.fixture(scope="module")
def run(server: ComfyServer) -> Run:
    write_clip(server)
    server.clear_cache()
    return done(server, style_prompt())


@pytest.fixture(scope="module")
def sound(server: ComfyServer, run: Run) -> np.ndarray:
    return songs.sound_of(server, run)[0]


def test_a_wav_becomes_a_song_as_long_as_compose_says(server: ComfyServer, run: Run, sound: np.ndarray):
    song = songs.song_of(server, run)
    assert (song.format, song.rate) == ("FLAC", songs.SAMPLE_RATE)
    assert 0 < song.seconds <= 4
    assert sound.shape == (round(song.seconds * songs.SAMPLE_RATE), 2)
    assert 0 < np.abs(sound).max() < 1


def test_the_clip_is_the_first_ten_seconds_at_48_khz(server: ComfyServer, run: Run):
    clip, rate, _ = songs.sound_of(server, run, HEARD)
    assert (clip.shape, rate) == ((10 * songs.SAMPLE_RATE, 2), songs.SAMPLE_RATE)
    assert np.array_equal(clip[:, 0], clip[:, 1])
    assert 0.1 < np.abs(clip).max() < 0.5


def test_progress_of_encoding_rises_to_the_end(run: Run):
    updates = [m.data for m in run.of_type("progress") if m.data["node"] == STYLE]
    values = [update["value"] for update in updates]
    assert values == sorted(values)
    assert values[-1] == updates[-1]["max"] == 8


def test_the_same_seeds_and_clip_make_the_same_samples_with_nothing_cached(
    server: ComfyServer, run: Run, sound: np.ndarray
):
    server.clear_cache()
    again = done(server, style_prompt())
    assert not again.cached
    assert np.array_equal(songs.sound_of(server, again)[0], sound)


@pytest.mark.parametrize("node", ["compose", "render"])
def test_another_seed_makes_another_sound_of_the_same_style(
    server: ComfyServer, sound: np.ndarray, node: str
):
    prompt = style_prompt()
    entry = {"compose": songs.COMPOSE, "render": songs.RENDER}[node]
    prompt[entry]["inputs"]["seed"] = 7
    changed = done(server, prompt)
    assert STYLE in changed.cached
    assert not np.array_equal(songs.sound_of(server, changed)[0], sound)


def test_the_sound_goes_on_from_the_clip_only_where_render_is_given_the_style(
    server: ComfyServer, sound: np.ndarray
):
    prompt = style_prompt()
    for name in ("style", "vae"):
        del prompt[songs.RENDER]["inputs"][name]
    other = songs.sound_of(server, done(server, prompt))[0]
    assert other.shape == sound.shape
    assert not np.array_equal(other, sound)


@pytest.mark.parametrize("track", ["vocals", "accompaniment"])
def test_a_track_alone_is_rendered_with_the_style(server: ComfyServer, sound: np.ndarray, track: str):
    other = songs.sound_of(server, done(server, style_prompt(render={"track": track})))[0]
    assert other.shape == sound.shape
    assert not np.array_equal(other, sound)


def test_a_separator_stands_in_for_vocals_and_auto_for_the_start(server: ComfyServer, run: Run):
    prompt = style_prompt(style={"separator": [SEPARATOR, 0], "auto": True, "start": 500.0})
    del prompt[STYLE]["inputs"]["vocals"], prompt[SPLIT]
    clip = songs.sound_of(server, done(server, prompt), HEARD)[0]
    assert len(clip) == 10 * songs.SAMPLE_RATE


def test_a_style_and_tags_together_are_warned_of_once_and_composed(server: ComfyServer, run: Run):
    prompt = style_prompt()
    prompt[songs.CONDITIONING]["inputs"]["description"] = "pop, piano"
    before = len(server.log())
    done(server, prompt)
    assert server.log()[before:].count("A style and tags are both given") == 1


def test_what_cannot_be_is_refused_in_a_sentence(server: ComfyServer, run: Run):
    prompt = style_prompt()
    del prompt[STYLE]["inputs"]["vocals"], prompt[SPLIT]
    assert "cannot tell voice from band" in refused(server, prompt, STYLE)
    assert "leaves less than 1 s" in refused(server, style_prompt(style={"start": 13.5}), STYLE)
    prompt = style_prompt()
    del prompt[songs.RENDER]["inputs"]["vae"]
    assert "needs a vae" in refused(server, prompt, songs.RENDER)


def test_a_style_without_sound_is_refused_by_render_and_taken_by_conditioning(
    server: ComfyServer, run: Run
):
    prompt = style_prompt()
    for node in (LOAD, SEPARATOR, SPLIT, ENCODER, HEARD):
        del prompt[node]
    prompt[STYLE] = {
        "class_type": "LeVoStyleFromLibrary",
        "inputs": {"style": NO_STYLE, "language": "auto", "seed": 0},
    }
    assert "has codes and no sound" in refused(server, prompt, songs.RENDER)
    for name in ("style", "vae"):
        del prompt[songs.RENDER]["inputs"][name]
    song = songs.song_of(server, done(server, prompt))
    assert len(song.sound) == round(song.seconds * songs.SAMPLE_RATE) > 0


# ------------------------------------------------------------------ files


def test_both_tokenizer_files_are_offered_and_what_is_missing_is_named(server: ComfyServer, run: Run):
    assert TINY in options(server, "septoken") and TINY in options(server, "one_rvq")
    folder = server.base / "models" / "levo" / "style files"
    try:
        releases.PARTS["septoken slim"][1](folder / "model_2.safetensors")
        releases.PARTS["1rvq slim"][1](folder / "model_2_fixed.safetensors")
        assert options(server, "septoken") == ["septoken slim (3.8 GB)", TINY]
        assert options(server, "one_rvq") == ["1rvq slim (659 MB)", TINY]
    finally:
        shutil.rmtree(folder)
    prompt = style_prompt()
    prompt[ENCODER]["inputs"]["one_rvq"] = options(server, "one_rvq")[0]
    sentence = refused(server, prompt, ENCODER)
    assert sentence.startswith("There is no 1rvq tokenizer file: run the node LeVo Download Models")
    assert "model_2_fixed.safetensors from https://huggingface.co/tencent/SongGeneration" in sentence


def options(server: ComfyServer, name: str) -> list[str]:
    """What a combo of the loader offers."""
    node = "LeVoLoadStyleEncoder"
    return server.get(f"/object_info/{node}")[node]["input"]["required"][name][1]["options"]
