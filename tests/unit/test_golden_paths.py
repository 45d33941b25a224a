"""The published tokens on every path that composing can take, not only the plain one of `test_golden`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import flash_stand_in
import golden
import pytest
import torch

from levo.attention import Attention, Flash, sdpa
from levo.lelm import compose as composing
from levo.lelm.compose import Composition
from levo.lelm.cuda_graph import Replay

FILES = sorted(golden.GOLDEN.glob("lelm_*.safetensors"), key=lambda path: path.stem)
LONG = {"lelm_v1_en_prompt", "lelm_v2_zh"}  # 12 s: once is enough, with all paths together
each = pytest.mark.parametrize("path", [p for p in FILES if p.stem not in LONG], ids=lambda path: path.stem)
pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    replayed = capture_on_the_cpu(monkeypatch)
    (song,) = songs_of(path, graph=True)
    assert wrong(path, song) == []
    assert len(replayed) > song.steps // 2


@pytest.mark.parametrize("path", [p for p in FILES if p.stem in LONG], ids=lambda path: path.stem)
def test_all_paths_together_sing_the_published_tokens(path: Path, monkeypatch: pytest.MonkeyPatch):
    replayed = capture_on_the_cpu(monkeypatch)
    takes = songs_of(path, Flash(flash_stand_in.package()), seeds=[1, 2], graph=True)
    assert [wrong(path, take) for take in takes] == [[], []]
    assert len(replayed) > takes[0].steps // 2


def capture_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put something in place of CUDA graphs that runs the captured step; gives a 1 for each replay."""
    steps, replayed = [], []

    class Watched(Replay):
        def __init__(self, step: Callable[[], None]):
            super().__init__(step)
            steps.append(step)

    class Graph:
        def __init__(self):
            self.ran = True  # a CPU cannot capture a step without running it

        def replay(self) -> None:
            if not self.ran:
                steps[-1]()
            self.ran = False
            replayed.append(1)

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, pool: nullcontext())
    monkeypatch.setattr(composing, "Replay", Watched)
    return replayed
