"""Splitting a song in a real ComfyUI: five stems, seeds, Cancel, files, and what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support import separators, songs
from support.comfy_server import ComfyServer, Message, PromptRejected, Run
from support.sentences import assert_one_sentence

TINY = "tiny (built in, random weights: sounds like noise)"
NONE_FOUND = "no file found (run this to see which one is needed)"
STEMS = ("vocals", "accompaniment", "drums", "bass", "other")
RATE, SECONDS = 32_000, 3
LSB = 2**-15  # of the 16 bits that SaveAudio keeps


@pytest.fixture(scope="module")
def clip(server: ComfyServer) -> np.ndarray:
    """A song in mono, in ComfyUI's input folder as song.wav."""
    beat = np.sin(np.arange(RATE * SECONDS) * 440 * 2 * np.pi / RATE) * (
        np.arange(RATE * SECONDS) % 9_000 < 3_000
    )
    sound = (0.2 * beat + 0.05 * np.random.default_rng(1).standard_normal(len(beat))).astype(np.float32)
    soundfile.write(server.base / "input" / "song.wav", sound, RATE, subtype="FLOAT")
    return sound


def prompt(seed: int = 1, checkpoint: str = TINY) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "load": {"class_type": "LoadAudio", "inputs": {"audio": "song.wav"}},
        "separator": {"class_type": "LeVoLoadSeparator", "inputs": {"checkpoint": checkpoint}},
        "split": {
            "class_type": "LeVoSplitVocals",
            "inputs": {"separator": ["separator", 0], "audio": ["load", 0], "seed": seed},
        },
    }
    for number, stem in enumerate(STEMS):
        inputs = {"audio": ["split", number], "filename_prefix": f"audio/{stem}"}
        nodes[stem] = {"class_type": "SaveAudio", "inputs": inputs}
    return nodes


def stems_of(server: ComfyServer, run: Run) -> dict[str, np.ndarray]:
    assert run.status == "success", run.error
    found = {}
    for stem in STEMS:
        sound, rate, _ = songs.sound_of(server, run, stem)
        assert rate == RATE
        found[stem] = sound
    return found


@pytest.fixture(scope="module")
def stems(server: ComfyServer, clip: np.ndarray) -> dict[str, np.ndarray]:
    return stems_of(server, server.run(prompt()))


def test_a_song_is_split_into_stems_of_its_own_rate_channels_and_length(clip, stems: dict[str, np.ndarray]):
    assert all(stem.shape == (len(clip), 1) for stem in stems.values())
    assert all(stem.std() > 10 * LSB for stem in stems.values())
    together = stems["vocals"] + stems["accompaniment"]
    np.testing.assert_allclose(together[:, 0], clip, atol=2 * LSB)


def test_the_seed_alone_decides(server: ComfyServer, stems: dict[str, np.ndarray]):
    server.clear_cache()
    again, other = (stems_of(server, server.run(prompt(seed))) for seed in (1, 2))
    assert all(np.array_equal(again[stem], stems[stem]) for stem in STEMS)
    assert not np.array_equal(other["drums"], stems["drums"])


def test_cancel_stops_between_two_windows(server: ComfyServer, stems: dict[str, np.ndarray]):
    server.clear_cache()
    pressed: list[float] = []

    def cancel(message: Message) -> None:
        if message.type == "progress" and message.data["node"] == "split" and not pressed:
            pressed.append(time.monotonic())
            server.interrupt()

    run = server.run(prompt(3), on_message=cancel)
    assert run.status == "interrupted"
    assert run.error["node_id"] == "split"
    assert np.array_equal(stems_of(server, server.run(prompt()))["bass"], stems["bass"])


@pytest.mark.parametrize("name", separators.WRITERS)
def test_a_file_of_any_form_is_offered_and_splits(server: ComfyServer, clip: np.ndarray, name: str):
    path = server.base / "models" / "levo" / name
    path.parent.mkdir(exist_ok=True)
    separators.WRITERS[name](path)
    try:
        offered = server.get("/object_info/LeVoLoadSeparator")["LeVoLoadSeparator"]["input"]["required"]
        (choice, tiny) = offered["checkpoint"][1]["options"]
        assert choice.startswith(Path(name).stem) and tiny == TINY
        stems_of(server, server.run(prompt(checkpoint=choice)))
    finally:
        path.unlink()


def test_without_a_file_the_sentence_says_where_one_is(server: ComfyServer, clip: np.ndarray):
    with pytest.raises(PromptRejected) as rejected:
        server.run(prompt(checkpoint=NONE_FOUND))
    (error,) = rejected.value.node_errors["separator"]["errors"]
    assert_one_sentence(error["details"].partition(" - ")[2] or error["details"])
    for word in ("htdemucs.pth", "LeVo Download Models", "third_party/demucs/ckpt"):
        assert word in json.dumps(error)
