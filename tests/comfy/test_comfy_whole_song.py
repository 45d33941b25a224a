"""LeVo Song in a real ComfyUI: the song that LeVo Compose and LeVo Render make, under one progress bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import songs
from server import ComfyServer, Run

LONG = {"seed": 5, "max_seconds": 48}  # two windows, and an end before the limit
STEPS = 48 * 25 + 250


def in_one(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt with LeVo Song in place of Compose and Render."""
    compose, render = prompt[songs.COMPOSE]["inputs"], prompt.pop(songs.RENDER)["inputs"]
    names = {"seed": "render_seed", "steps": "render_steps", "guidance": "render_guidance"}
    rendering = {names.get(name, name): value for name, value in render.items() if name != "tokens"}
    prompt[songs.COMPOSE] = {"class_type": "LeVoSong", "inputs": {**compose, **rendering}}
    prompt[songs.DECODE]["inputs"]["latent"] = [songs.COMPOSE, 0]
    prompt[songs.ENDED]["inputs"]["source"] = [songs.COMPOSE, 2]
    prompt[songs.SECONDS]["inputs"]["source"] = [songs.COMPOSE, 3]
    return prompt


@pytest.fixture(scope="module")
def run(server: ComfyServer) -> Run:
    run = server.run(in_one(songs.song_prompt(compose=LONG, render={"seed": 3})))
    assert run.status == "success", run.error
    return run


def test_the_song_is_that_of_compose_and_render(server: ComfyServer, run: Run):
    whole, _ = songs.make(server, compose=LONG, render={"seed": 3})
    song = songs.song_of(server, run)
    assert np.array_equal(song.sound, whole.sound)
    assert (song.ended, song.seconds) == (whole.ended, whole.seconds)
    assert song.seconds > 40


def test_one_progress_bar_goes_over_both_models(run: Run):
    updates = [m.data for m in run.of_type("progress") if m.data["node"] == songs.COMPOSE]
    values = [update["value"] for update in updates]
    assert values == sorted(values)
    assert updates[0]["max"] == STEPS + 2 * 10  # at most
    assert values[-1] == updates[-1]["max"] < STEPS + 2 * 10
