"""Nothing of a node's run outlives it under ComfyUI's memory manager."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from support.inside import findings_of

NODES = ["LeVoCompose", "LeVoRender", "LeVoSong", "LeVoSong heard", "LeVoDecode"]
MOST_GROWTH = 1_000_000  # bytes a run; one cache of the tiny model that stayed would be more


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What lifetimes.py saw."""
    return findings_of("lifetimes.py")


@pytest.mark.parametrize("way", ["returned", "cancelled", "failed"])
@pytest.mark.parametrize("node", NODES)
def test_no_tensor_of_a_run_lives_on(findings: dict[str, Any], node: str, way: str):
    assert findings["nodes"][node]["made"] > 100
    assert findings["nodes"][node][way] == []


@pytest.mark.parametrize("node", NODES)
def test_ten_runs_hold_no_more_than_the_first(findings: dict[str, Any], node: str):
    held, memory = (findings["nodes"][node][what] for what in ("tensors", "memory"))
    assert held == held[:1] * 10
    # What stays grows with each run; memory that the allocator keeps or returns comes in single steps.
    assert median(after - before for before, after in pairwise(memory)) < MOST_GROWTH


def test_song_gives_what_compose_and_render_give_however_many_models_fit(findings: dict[str, Any]):
    assert findings["same in one"]
