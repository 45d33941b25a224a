"""Going on from a song in a real ComfyUI: the same song again, other takes, a longer one, and faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import songs
from support.comfy_server import ComfyServer, Run
from support.sentences import assert_one_sentence

from levo.config import Sampling
from levo.song import token_file
from levo.song.tokens import Composer, SongRequest, SongTokens

GREEDY = {"temperature": 0.0, "max_seconds": 4}
DRAWN = {"seed": 4, "max_seconds": 4, "top_k": 250}  # no song ends before


def going_on(compose: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """The prompt with LeVo Continue Song behind LeVo Compose, set alike but for `inputs`."""
    prompt = songs.song_prompt(compose=compose)
    same = {
        name: value for name, value in prompt[songs.COMPOSE]["inputs"].items() if name != "conditioning"
    }
    prompt["on"] = {
        "class_type": "LeVoContinueSong",
        "inputs": {**same, "tokens": [songs.COMPOSE, 0], "take": 1, "seconds": 2.0, **inputs},
    }
    prompt[songs.RENDER]["inputs"]["tokens"] = ["on", 0]
    for node, output in ((songs.ENDED, 1), (songs.SECONDS, 2)):
        prompt[node]["inputs"]["source"] = ["on", output]
    return prompt


def made(server: ComfyServer, prompt: dict[str, Any]) -> songs.Song:
    run = server.run(prompt)
    assert run.status == "success", run.error
    return songs.song_of(server, run)


@pytest.mark.parametrize("seconds", [0.0, 1.48, 4.0 - 0.04])
def test_a_song_that_goes_on_as_it_was_made_is_the_same_song(server: ComfyServer, seconds: float):
    song, _ = songs.make(server, compose=GREEDY)
    assert np.array_equal(made(server, going_on(GREEDY, seconds=seconds)).sound, song.sound)


def codes_of(server: ComfyServer, run: Run, node: str) -> torch.Tensor:
    """What a LeVo Save Tokens node of the run saved."""
    (entry,) = run.outputs[node]["tokens"]
    return token_file.load(server.output_file(entry)).codes


def both(server: ComfyServer, prompt: dict[str, Any]) -> tuple[Run, torch.Tensor, torch.Tensor]:
    """Run a prompt of `going_on`; gives the codes of the song before and after, too."""
    for name, node in (("before", songs.COMPOSE), ("after", "on")):
        inputs = {"tokens": [node, 0], "filename_prefix": f"tokens/{name}"}
        prompt[name] = {"class_type": "LeVoSaveTokens", "inputs": inputs}
    run = server.run(prompt)
    assert run.status == "success", run.error
    return run, codes_of(server, run, "before"), codes_of(server, run, "after")


@pytest.mark.parametrize("other", ["seed", "lyrics"])
def test_another_seed_or_other_lyrics_keep_the_beginning_and_go_on_otherwise(
    server: ComfyServer, other: str
):
    prompt = going_on(DRAWN, **({"seed": 2} if other == "seed" else {"conditioning": ["words", 0]}))
    prompt["words"] = {"class_type": "LeVoConditioning", "inputs": {"kind": "instrumental"}}
    _, before, after = both(server, prompt)
    assert before.shape == after.shape == (1, 3, 100)
    assert torch.equal(before[..., :50], after[..., :50])
    assert not torch.equal(before, after)


def test_a_song_that_stopped_at_its_limit_is_made_longer(server: ComfyServer):
    longer = made(server, going_on(DRAWN, seconds=600.0, max_seconds=6))
    assert (longer.seconds, longer.ended) == (6, False)
    assert len(longer.sound) == 6 * songs.SAMPLE_RATE


def test_takes_go_on_from_any_take(server: ComfyServer):
    run, before, after = both(server, going_on({**DRAWN, "takes": 2}, take=2, takes=3))
    assert len(run.outputs[songs.SAVE]["audio"]) == len(after) == 3
    assert all(torch.equal(take[:, :50], before[1, :, :50]) for take in after)
    assert len({tuple(take.flatten().tolist()) for take in after}) == 3


def fault(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt)
    assert run.status == "error"
    assert run.error["node_id"] == "on"
    assert_one_sentence(run.error["exception_message"])
    return run


FAULTS = {
    "no such take": ({"take": 2}, "was asked for take 2 of a song with 1"),
    "nothing left": ({"seconds": 4.0}, "keeps 4 s and may go to 4 s"),
    "limit beyond the checkpoint's": ({"max_seconds": 100}, "LeVo Continue Song cannot go to 100 s"),
}


@pytest.mark.parametrize(("inputs", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_sentence(server: ComfyServer, inputs: dict[str, Any], sentence: str):
    run = fault(server, going_on(DRAWN, **inputs))
    assert sentence in run.error["exception_message"]


def test_a_song_of_another_version_is_refused(server: ComfyServer):
    request, composer = SongRequest("[verse] La.", "", False), Composer("base", "v1", "0" * 64)
    codes = torch.zeros(1, 3, 50, dtype=torch.int64)
    token_file.save(
        server.base / "input" / "old.safetensors",
        SongTokens(codes, (50,), (1,), (False,), request, Sampling(), composer),
    )
    prompt = going_on(DRAWN, tokens=["load", 0])
    prompt["load"] = {"class_type": "LeVoLoadTokens", "inputs": {"file": "old.safetensors"}}
    run = fault(server, prompt)
    assert "a song of the v1 checkpoint base with a v2 checkpoint" in run.error["exception_message"]


def test_a_song_that_ends_again_where_it_ended_says_so(server: ComfyServer):
    ends = {"seed": 10, "max_seconds": 0}
    song, _ = songs.make(server, compose=ends)
    assert song.ended
    before = len(server.log())
    again = made(server, going_on(ends, seconds=600.0))
    assert (again.seconds, again.ended) == (song.seconds, True)
    assert f"Nothing was added: the song ended at {song.seconds:g} s" in server.log()[before:]
