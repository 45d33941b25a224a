"""The loaders' choice of attention in a real ComfyUI without a card."""

from __future__ import annotations

import numpy as np
import pytest
from support import songs
from support.comfy_server import ComfyServer
from support.sentences import assert_one_sentence

SHORT = {"max_seconds": 4}
LOADERS = {"loadlelm": "LeVoLoadLeLM", "loadrenderer": "LeVoLoadRenderer"}


@pytest.mark.parametrize("loader", LOADERS)
def test_flash_attn_that_is_asked_for_and_missing_is_an_error(server: ComfyServer, loader: str):
    run = server.run(songs.song_prompt(compose=SHORT, **{loader: {"attention": "flash_attn"}}))
    assert run.status == "error"
    assert_one_sentence(run.error["exception_message"])
    assert "flash-attn" in run.error["exception_message"]
    assert "set attention to auto or sdpa" in run.error["exception_message"]


def test_torchs_attention_sings_the_same_song(server: ComfyServer):
    auto, _ = songs.make(server, compose=SHORT)
    sdpa, _ = songs.make(
        server, compose=SHORT, loadlelm={"attention": "sdpa"}, loadrenderer={"attention": "sdpa"}
    )
    # LeLM's `auto` is torch's as well; the renderer's sums in another order.
    assert np.abs(auto.sound - sdpa.sound).max() < 1e-2 * np.abs(auto.sound).max()


def test_a_prompt_from_before_the_choice_still_runs(server: ComfyServer):
    prompt = songs.song_prompt(compose=SHORT)
    for entry in prompt.values():
        entry["inputs"].pop("attention", None)
    assert server.run(prompt).status == "success"
