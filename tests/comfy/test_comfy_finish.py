"""LeVo Finish Song in a real ComfyUI: off is off, cut songs fade, levels are as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import songs
from support.comfy_server import ComfyServer, Run
from support.sentences import assert_one_sentence

FINISH, FINISHED, LOUDNESS, PEAK = "finish", "finished", "loudness", "peak"
# One take ends by itself, one is cut at the limit. Few codes, so that rounding turns no draw.
COMPOSED = {"seed": 6, "max_seconds": 12, "takes": 2, "top_k": 50}
ALL_OFF = {"trim": False, "fade": "off", "normalise": False, "limiter": False}
LEVELS = {"silence_db": -60.0, "fade_seconds": 2.0, "loudness_lufs": -14.0, "ceiling_db": -1.0}


def finishing_prompt(**inputs: Any) -> dict[str, Any]:
    """The song prompt with finished songs beside the decoded ones; a value of None takes an input away."""
    defaults = {"audio": [songs.DECODE, 0], "tokens": [songs.COMPOSE, 0]}
    optional = defaults | ALL_OFF | LEVELS | inputs
    inputs = {name: value for name, value in optional.items() if value is not None}
    prompt = songs.song_prompt(compose=COMPOSED, render={"steps": 2}, loadlelm=songs.EXACT)
    prompt[FINISH] = {"class_type": "LeVoFinishSong", "inputs": inputs}
    saved = {"audio": [FINISH, 0], "filename_prefix": "audio/finished"}
    prompt[FINISHED] = {"class_type": "SaveAudio", "inputs": saved}
    for number, node in ((1, LOUDNESS), (2, PEAK)):
        prompt[node] = {"class_type": "PreviewAny", "inputs": {"source": [FINISH, number]}}
    return prompt


def run_of(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt)
    assert run.status == "success", run.error
    return run


def sounds(server: ComfyServer, run: Run, node: str) -> list[np.ndarray]:
    return [songs.sound_of_entry(server, entry)[0] for entry in run.outputs[node]["audio"]]


def numbers(run: Run, node: str) -> list[float]:
    return [float(text) for text in run.outputs[node]["text"]]


def test_with_everything_off_no_sample_changes(server: ComfyServer):
    run = run_of(server, finishing_prompt(tokens=None))
    before, after = sounds(server, run, songs.SAVE), sounds(server, run, FINISHED)
    assert len(before) == 2
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_only_the_song_that_was_cut_fades(server: ComfyServer):
    run = run_of(server, finishing_prompt(fade="songs cut at the limit"))
    before, after = sounds(server, run, songs.SAVE), sounds(server, run, FINISHED)
    limit = COMPOSED["max_seconds"] * songs.SAMPLE_RATE
    assert [len(song) == limit for song in before].count(True) == 1
    for song, made in zip(before, after, strict=True):
        faded = songs.SAMPLE_RATE * 2
        assert np.array_equal(made[:-faded], song[:-faded])
        assert np.array_equal(made, song) == (len(song) < limit)
        if len(song) == limit:
            assert np.abs(made[-100:]).max() < 1e-4 < np.abs(song[-100:]).max()


def test_loudness_and_peaks_are_as_asked_and_told(server: ComfyServer):
    run = run_of(
        server, finishing_prompt(normalise=True, loudness_lufs=-20.0, limiter=True, ceiling_db=-6.0)
    )
    assert numbers(run, LOUDNESS) == pytest.approx([-20, -20], abs=1)
    assert max(numbers(run, PEAK)) <= -5.999
    assert max(np.abs(song).max() for song in sounds(server, run, FINISHED)) <= 10 ** (-6 / 20)


def test_silence_of_another_node_is_cut_from_the_end(server: ComfyServer):
    prompt = finishing_prompt(tokens=None, audio=["joined", 0], trim=True)
    empty = {"duration": 1.0, "sample_rate": songs.SAMPLE_RATE, "channels": 2}
    prompt["silence"] = {"class_type": "EmptyAudio", "inputs": empty}
    joined = {"audio1": [songs.DECODE, 0], "audio2": ["silence", 0], "direction": "after"}
    prompt["joined"] = {"class_type": "AudioConcat", "inputs": joined}
    run = run_of(server, prompt)
    for song, made in zip(sounds(server, run, songs.SAVE), sounds(server, run, FINISHED), strict=True):
        assert 0 <= len(song) - len(made) < songs.SAMPLE_RATE // 10
        assert np.array_equal(made, song[: len(made)])


FAULTS = {
    "no tokens": ({"tokens": None, "fade": "songs cut at the limit"}, "cannot know which songs were cut"),
    "tokens of other songs": (
        {"audio": ["silence", 0], "fade": "songs cut at the limit"},
        "counts 1 in audio and 2 in tokens",
    ),
}


@pytest.mark.parametrize(("inputs", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_stops_the_run_with_one_sentence(
    server: ComfyServer, inputs: dict[str, Any], sentence: str
):
    prompt = finishing_prompt(**inputs)
    empty = {"duration": 1.0, "sample_rate": songs.SAMPLE_RATE, "channels": 2}
    prompt["silence"] = {"class_type": "EmptyAudio", "inputs": empty}
    run = server.run(prompt)
    assert run.status == "error"
    assert sentence in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])
