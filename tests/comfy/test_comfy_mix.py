"""LeVo Mix in a real ComfyUI: what the faders of the player let hear, to the sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import songs
from support.comfy_server import ComfyServer
from support.sentences import assert_one_sentence

SHORT = {"max_seconds": 2}
STEMS = {"mix": ["9", 0], "vocals": ["9", 1], "accompaniment": ["9", 2]}  # of LeVo Decode Stems
MIX, MIXED, WHOLE, VOCALS = "20", "mixed", "whole", "alone"
AS_THEY_ARE = {"vocals_db": 0.0, "accompaniment_db": 0.0, "mix_db": 0.0}


def mixing_prompt(*tracks: str, takes: int = 1, **more: Any) -> dict[str, Any]:
    """The prompt of a song's stems, some of which go into LeVo Mix; `more` are further inputs of it."""
    prompt = songs.listen_prompt(compose=SHORT | {"takes": takes})
    del prompt[songs.LISTEN]
    inputs = {**AS_THEY_ARE, **{track: STEMS[track] for track in tracks}, **more}
    prompt[MIX] = {"class_type": "LeVoMix", "inputs": inputs}
    for name, source in ((MIXED, [MIX, 0]), (WHOLE, STEMS["mix"]), (VOCALS, STEMS["vocals"])):
        saved = {"audio": source, "filename_prefix": f"audio/{name}"}
        prompt[name] = {"class_type": "SaveAudio", "inputs": saved}
    return prompt


def sounds(server: ComfyServer, prompt: dict[str, Any]) -> dict[str, list[np.ndarray]]:
    """What LeVo Mix made, the mix and the vocals, each a list of takes."""
    run = server.run(prompt)
    assert run.status == "success", run.error
    return {
        name: [songs.sound_of_entry(server, entry)[0] for entry in run.outputs[name]["audio"]]
        for name in (MIXED, WHOLE, VOCALS)
    }


def refused(server: ComfyServer, prompt: dict[str, Any]) -> str:
    run = server.run(prompt)
    assert run.status == "error" and run.error["node_id"] == MIX
    assert_one_sentence(run.error["exception_message"])
    return run.error["exception_message"]


def test_stems_at_0_db_are_the_mix_of_each_take(server: ComfyServer):
    made = sounds(server, mixing_prompt("vocals", "accompaniment", takes=2))
    assert len(made[MIXED]) == 2
    for song, whole in zip(made[MIXED], made[WHOLE], strict=True):
        np.testing.assert_allclose(song, whole, atol=1.5 / 32_768)  # FLAC of 16 bits
    assert not np.array_equal(*made[MIXED])


def test_one_track_at_0_db_is_itself_and_a_silent_one_adds_nothing(server: ComfyServer):
    (alone,) = sounds(server, mixing_prompt("vocals"))[MIXED]
    made = sounds(
        server, mixing_prompt("vocals", "accompaniment", "mix", accompaniment_db=-60.0, mix_db=-60.0)
    )
    assert np.array_equal(alone, made[VOCALS][0]) and np.array_equal(made[MIXED][0], made[VOCALS][0])


def test_gains_are_decibels_and_may_come_from_another_node(server: ComfyServer):
    prompt = mixing_prompt("vocals", vocals_db=["gain", 0])
    prompt["gain"] = {"class_type": "PrimitiveFloat", "inputs": {"value": -12.0}}
    made = sounds(server, prompt)
    np.testing.assert_allclose(made[MIXED][0], made[VOCALS][0] * 10 ** (-12 / 20), atol=1 / 32_768)


def test_nothing_to_mix_is_said_in_a_sentence(server: ComfyServer):
    assert "has nothing to mix" in refused(server, mixing_prompt())


@pytest.mark.parametrize(
    ("empty", "told"),
    [
        (
            {"duration": 1.0, "sample_rate": 48_000},
            "different lengths (vocals 2.00 s or 96,000 samples, mix 1.00 s",
        ),
        (
            {"duration": 2.0, "sample_rate": 44_100},
            "different sample rates (vocals 48,000 Hz, mix 44,100 Hz)",
        ),
    ],
)
def test_a_track_of_another_song_is_refused(server: ComfyServer, empty: dict[str, Any], told: str):
    prompt = mixing_prompt("vocals", mix=["silence", 0])
    prompt["silence"] = {"class_type": "EmptyAudio", "inputs": {**empty, "channels": 2}}
    assert told in refused(server, prompt)
