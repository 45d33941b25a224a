"""Songs of the golden files stay the same: ended early, gone on with, composed by compiled steps."""

from __future__ import annotations

import random

import pytest
import torch
from support import golden_outputs as golden
from support.compiled_blocks import Counting, compiler

from levo.lelm.compose import Execution, compose
from levo.lelm.delay import steps_for
from levo.lelm.model import Run

pytestmark = pytest.mark.usefixtures("inference", "one_thread")

TEN = 10
GOLDEN = {path.stem: TEN for path in golden.files_in(golden.GOLDEN) if path.stem.startswith("lelm")}
GOLDEN |= {"lelm_v1_en_prompt": 2, "lelm_v2_zh": 2}  # these have the released delays, and take long


@pytest.mark.parametrize("stem", ["lelm_v2_all_end", "lelm_v2_eos", "lelm_v2_ban"])
def test_golden_song_is_the_same_when_the_loop_stops_early(stem):
    file = golden.GoldenFile(golden.GOLDEN / f"{stem}.safetensors")
    config = golden.lelm_config(file.meta)
    request, frames = golden.song_conditions(file, config)
    steps = steps_for(frames, config.delays)
    (song,) = compose(golden.build_lelm(file, config), request, frames, golden.GREEDY)
    assert torch.equal(song.codes, file.tensors["tokens"])
    assert song.ended == (song.codes.shape[2] < frames)
    assert song.steps <= int(file.tensors.get("steps", torch.tensor(steps)))


@pytest.mark.parametrize(("stem", "count"), GOLDEN.items())
def test_a_golden_song_goes_on_from_any_frame_as_it_was(stem: str, count: int):
    file = golden.GoldenFile(golden.GOLDEN / f"{stem}.safetensors")
    config = golden.lelm_config(file.meta)
    model, (request, frames) = golden.build_lelm(file, config), golden.song_conditions(file, config)
    tokens = file.tensors["tokens"]
    length = tokens.shape[2]
    for kept in random.Random(length).sample(range(1, length + 1), count):
        (song,) = compose(model, request, frames, golden.GREEDY, kept=tokens[..., :kept])
        assert torch.equal(song.codes, tokens), kept
        assert song.ended == (length < frames)


@compiler
def test_compiled_steps_sing_the_published_tokens():
    file = golden.GoldenFile(golden.GOLDEN / "lelm_v2_eos.safetensors")
    model, blocks = golden.build_lelm(file, golden.lelm_config(file.meta)), Counting()
    (song,) = golden.sing(file, model, execution=Execution(run=Run(blocks)))
    assert [str(result) for result in golden.run_song_tokens(file, song) if not result.passed] == []
    assert blocks.count >= song.steps
