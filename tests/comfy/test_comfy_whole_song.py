"""LeVo Song in a real ComfyUI: the song that LeVo Compose and LeVo Render make, under one progress bar, and
heard while it is made."""

from __future__ import annotations

import numpy as np
import pytest
from support import songs
from support.comfy_server import ComfyServer, Run

from levo import tiny
from levo.config import FRAME_RATE

LONG = {"seed": 5, "max_seconds": 48}  # two windows, and an end before or at the limit
STEPS = 48 * 25 + 250
HELD = tiny.VAE.overlap / 2 / FRAME_RATE  # seconds at the end that wait for the next window


@pytest.fixture(scope="module")
def run(server: ComfyServer) -> Run:
    run = server.run(
        songs.in_one(songs.song_prompt(compose=LONG, loadlelm=songs.EXACT, render={"seed": 3}))
    )
    assert run.status == "success", run.error
    return run


def test_the_song_is_that_of_compose_and_render(server: ComfyServer, run: Run):
    whole, _ = songs.make(server, compose=LONG, loadlelm=songs.EXACT, render={"seed": 3})
    song = songs.song_of(server, run)
    assert np.array_equal(song.sound, whole.sound)
    assert (song.ended, song.seconds) == (whole.ended, whole.seconds)
    assert song.seconds > 40


def test_one_progress_bar_goes_over_both_models(server: ComfyServer, run: Run):
    updates = [m.data for m in run.of_type("progress") if m.data["node"] == songs.COMPOSE]
    values = [update["value"] for update in updates]
    assert values == sorted(values)
    assert updates[0]["max"] == STEPS + 2 * 10  # at most
    assert values[-1] == updates[-1]["max"]
    assert (values[-1] < STEPS + 2 * 10) == songs.song_of(server, run).ended


def test_each_window_can_be_heard_while_the_rest_is_made(server: ComfyServer, run: Run):
    types = [message.type for message in run.messages]
    heard = [message.data for message in run.of_type("levo.early")]
    assert {event["node"] for event in heard} == {songs.COMPOSE}
    assert "progress" in types[types.index("levo.early") :]
    sounds = [songs.sound_of_entry(server, event["file"]) for event in heard]
    assert {rate for _, rate, _ in sounds} == {songs.SAMPLE_RATE}
    first, whole = (len(sound) / songs.SAMPLE_RATE for sound, _, _ in sounds)
    seconds = songs.song_of(server, run).seconds
    assert (first, whole) == (40 - HELD, pytest.approx(seconds - HELD))


def test_a_program_that_does_not_listen_gets_its_song_and_no_other_file(server: ComfyServer):
    before = set((server.base / "temp").iterdir())
    prompt = songs.in_one(songs.song_prompt(compose={"seed": 6, "max_seconds": 2}, render={"steps": 1}))
    queued = server.queue(prompt)
    server.clear_cache()  # returns when the queue is done
    assert server.get(f"/history/{queued}")[queued]["status"]["status_str"] == "success"
    assert set((server.base / "temp").iterdir()) == before
