"""A song from matrices stored as fp8, in a real ComfyUI."""

from __future__ import annotations

import numpy as np
from support import songs
from support.comfy_server import ComfyServer

FP8 = {"dtype": "fp8_e4m3fn"}


def test_fp8_makes_a_song_that_is_heard(server: ComfyServer):
    song, _ = songs.make(server, loadlelm=FP8, loadrenderer=FP8, compose={"max_seconds": 4})
    assert song.sound.shape == (4 * songs.SAMPLE_RATE, 2)
    loudness = np.sqrt((song.sound.reshape(4, -1, 2) ** 2).mean(axis=1))  # of every second
    assert (loudness > 1e-3).all()


def test_fp8_is_for_lelm_and_the_renderer_alone(object_info):
    nodes = ("LeVoLoadLeLM", "LeVoLoadRenderer", "LeVoLoadVAE", "LeVoSaveCheckpoint")
    options = {node: object_info[node]["input"]["required"]["dtype"][1]["options"] for node in nodes}
    assert [node for node in nodes if FP8["dtype"] in options[node]] == list(nodes[:2])
