"""LeVo Listen in a real ComfyUI: what the player in the editor is told, and the files it plays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import songs
from support.comfy_server import ComfyServer, Run
from support.sentences import assert_one_sentence

from levo.audio.loudness import integrated_loudness

SHORT = {"max_seconds": 2}


@pytest.fixture(scope="module")
def run(server: ComfyServer) -> Run:
    run = server.run(songs.listen_prompt())
    assert run.status == "success", run.error
    return run


def takes_of(run: Run) -> list[dict[str, Any]]:
    return run.outputs[songs.LISTEN]["takes"]


def test_the_player_gets_a_temporary_flac_of_each_track(server: ComfyServer, run: Run):
    (take,) = takes_of(run)
    assert list(take["tracks"]) == ["mix", "vocals", "accompaniment"]
    assert {file["type"] for file in take["tracks"].values()} == {"temp"}
    mix, rate, container = songs.sound_of_entry(server, take["tracks"]["mix"])
    assert (container, rate) == ("FLAC", songs.SAMPLE_RATE)
    vocals, accompaniment = (
        songs.sound_of_entry(server, take["tracks"][name])[0] for name in ("vocals", "accompaniment")
    )
    assert mix.shape == (12 * songs.SAMPLE_RATE, 2)
    np.testing.assert_allclose(vocals + accompaniment, mix, atol=1e-4)
    assert not np.allclose(vocals, mix, atol=1e-2)


def test_the_editors_own_audio_list_has_the_same_files(run: Run):
    (take,) = takes_of(run)
    assert run.outputs[songs.LISTEN]["audio"] == list(take["tracks"].values())


def test_the_loudness_of_each_track_is_told(server: ComfyServer, run: Run):
    (take,) = takes_of(run)
    assert list(take["loudness"]) == list(take["tracks"])
    for name, file in take["tracks"].items():
        sound, rate, _ = songs.sound_of_entry(server, file)
        assert take["loudness"][name] == pytest.approx(
            integrated_loudness(torch.tensor(sound.T), rate), abs=0.06
        )


def test_sections_of_the_lyrics_are_marked_in_order_with_their_words(run: Run):
    (take,) = takes_of(run)
    assert [mark["words"] for mark in take["sections"]] == ["hello there", "la la la"]
    assert [mark["tag"] for mark in take["sections"]] == ["verse", "chorus"]
    starts = [mark["start"] for mark in take["sections"]]
    assert starts[0] == 0 < starts[1] < 12


def test_takes_are_told_one_by_one(server: ComfyServer):
    run = server.run(songs.listen_prompt(compose=SHORT | {"takes": 2}))
    assert run.status == "success", run.error
    first, second = takes_of(run)
    sounds = [songs.sound_of_entry(server, take["tracks"]["mix"])[0] for take in (first, second)]
    assert len(sounds[0]) == len(sounds[1]) == 2 * songs.SAMPLE_RATE
    assert not np.array_equal(*sounds)
    assert len(run.outputs[songs.LISTEN]["audio"]) == 6


@pytest.mark.parametrize(
    "changes", [{"conditioning": {"kind": "instrumental"}}, {}], ids=["sound", "alone"]
)
def test_any_track_alone_plays_without_marks(server: ComfyServer, changes: dict[str, Any]):
    prompt = songs.listen_prompt(compose=SHORT, **changes)
    inputs = prompt[songs.LISTEN]["inputs"]
    del inputs["mix"], inputs["accompaniment"]
    if not changes:
        del inputs["tokens"]
    run = server.run(prompt)
    assert run.status == "success", run.error
    (take,) = takes_of(run)
    assert list(take["tracks"]) == ["vocals"]
    assert take["sections"] == []


def test_nothing_to_play_is_said_in_a_sentence(server: ComfyServer):
    run = server.run({"1": {"class_type": "LeVoListen", "inputs": {}}})
    assert run.status == "error"
    assert "has nothing to play" in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])


def test_tracks_with_unlike_numbers_of_takes_are_refused(server: ComfyServer):
    prompt = songs.listen_prompt(compose=SHORT | {"takes": 2})
    prompt["40"] = {
        "class_type": "EmptyAudio",
        "inputs": {"duration": 1.0, "sample_rate": songs.SAMPLE_RATE, "channels": 2},
    }
    prompt[songs.LISTEN]["inputs"]["vocals"] = ["40", 0]
    run = server.run(prompt)
    assert run.status == "error"
    assert "2 of mix, 1 of vocals, 2 of accompaniment" in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])
