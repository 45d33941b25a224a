"""The published tokens on every path that composing can take, not only the plain one of `test_golden`."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import flash_stand_in
from support import golden_outputs as golden
from support.cuda_stand_in import Cuda

from levo.layers.attention import Attention, Flash, sdpa
from levo.lelm.compose import Composition, Execution
from levo.lelm.cuda_graph import Resident

FILES = sorted(golden.GOLDEN.glob("lelm_*.safetensors"), key=lambda path: path.stem)
LONG = {"lelm_v1_en_prompt", "lelm_v2_zh"}  # 12 s: once is enough, with all paths together
each = pytest.mark.parametrize("path", [p for p in FILES if p.stem not in LONG], ids=lambda path: path.stem)
pytestmark = pytest.mark.usefixtures("inference", "one_thread")


def songs_of(path: Path, attention: Attention = sdpa, **how: object) -> list[Composition]:
    file = golden.GoldenFile(path)
    return golden.sing(file, golden.build_lelm(file, golden.lelm_config(file.meta), attention), **how)


def wrong(path: Path, song: Composition) -> list[str]:
    results = list(golden.run_song_tokens(golden.GoldenFile(path), song))
    assert results
    return [str(result) for result in results if not result.passed]


@each
def test_every_take_of_a_batch_sings_the_published_tokens(path: Path):
    takes = songs_of(path, seeds=[1, 2])
    assert [wrong(path, take) for take in takes] == [[], []]


@each
def test_flash_attn_sings_the_published_tokens(path: Path):
    (song,) = songs_of(path, Flash(flash_stand_in.package()))
    assert wrong(path, song) == []


@each
def test_replayed_steps_sing_the_published_tokens(path: Path, monkeypatch: pytest.MonkeyPatch):
    cuda = Cuda().install(monkeypatch)
    (song,) = songs_of(path, execution=Execution(Resident()))
    assert wrong(path, song) == []
    assert cuda.events.count("replay") > song.steps // 2


@pytest.mark.parametrize("path", [p for p in FILES if p.stem in LONG], ids=lambda path: path.stem)
def test_all_paths_together_sing_the_published_tokens(path: Path, monkeypatch: pytest.MonkeyPatch):
    cuda, flash = Cuda().install(monkeypatch), Flash(flash_stand_in.package())
    takes = songs_of(path, flash, seeds=[1, 2], execution=Execution(Resident()))
    assert [wrong(path, take) for take in takes] == [[], []]
    assert cuda.events.count("replay") > takes[0].steps // 2
