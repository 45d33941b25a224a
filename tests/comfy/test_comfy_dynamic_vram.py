"""Composing with weights in pages, as under dynamic VRAM: graphs where all are there, and never wrong."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import findings_of

STEPS = 17  # 14 frames and the longest delay
TAKEN = STEPS - 1  # one comes of the prefill
ALWAYS_THERE = {"captures": 1, "replays": TAKEN - 1, "away": 0}


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What dynamic_vram.py saw."""
    return findings_of("dynamic_vram.py")


EVENTS = [
    "nothing",
    "one layer goes",
    "all go",
    "some go at every step",
    "a table of the conditions goes",
    "small weights are replaced",
    "0 % fit",
    "10 % fit",
    "50 % fit",
]


@pytest.mark.parametrize("event", EVENTS)
def test_the_song_is_the_same_whatever_happens_to_the_weights(findings: dict[str, Any], event: str):
    assert findings[event]["codes"] == findings["plain"]
    assert findings[event]["steps"] == STEPS


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_stays_pinned_and_no_graph_stays(findings: dict[str, Any], event: str):
    assert (findings[event]["pinned"], findings[event]["alive"]) == (0, 0)


def test_steps_are_replayed_while_all_weights_are_there(findings: dict[str, Any]):
    assert findings["nothing"] == findings["nothing"] | ALWAYS_THERE


def test_tables_that_no_step_reads_may_go(findings: dict[str, Any]):
    """They come last, and are most of the tiny model."""
    for event in ("a table of the conditions goes", "50 % fit"):
        assert findings[event] == findings[event] | ALWAYS_THERE


@pytest.mark.parametrize(("event", "times"), [("one layer goes", 1), ("all go", 2)])
def test_graphs_are_dropped_and_taken_up_again(findings: dict[str, Any], event: str, times: int):
    seen = findings[event]
    assert seen["away"] == times  # steps that brought weights back
    assert seen["captures"] == 1 + times
    assert seen["replays"] == TAKEN - 1 - times


def test_small_weights_that_were_replaced_are_seen(findings: dict[str, Any]):
    seen = findings["small weights are replaced"]
    assert (seen["away"], seen["captures"]) == (0, 2)


def test_where_weights_never_stay_no_step_is_captured(findings: dict[str, Any]):
    for event in ("some go at every step", "0 % fit", "10 % fit"):
        assert findings[event] == findings[event] | {"captures": 0, "replays": 0, "away": TAKEN}


def test_comfyui_fetches_the_blocks_of_both_stages_in_turn(findings: dict[str, Any]):
    seen = findings["prefetched"]
    assert seen["codes"] == findings["plain, long"]
    assert seen["calls"][0] == ["cleanup"]  # of what graphs there may be from before
    assert seen["calls"].count(["cleanup"]) == 2  # and once more where the caches are read further
    stages = [["queue", count, "cpu", {"prefetch_dynamic_vbars": True}] for count in (2, 1)]
    block, end = ["pop", "Block", True], ["pop", None, False]
    step = [stages[0], block, block, end, stages[1], block, end]
    assert [call for call in seen["calls"] if call != ["cleanup"]] == step * TAKEN


def test_without_a_queue_blocks_run_all_the_same(findings: dict[str, Any]):
    seen = findings["not prefetched"]
    assert seen["codes"] == findings["plain, long"]
    assert ["pop", None, False] not in seen["calls"]


CHOSEN = {
    "all there": ["Resident", "in turn", "compiled"],
    "half there": ["NoneType", "in turn", "compiled"],
    "dynamic": ["PagedWeights", "prefetching, graph True", "compiled"],
    "a CPU": ["NoneType", "in turn", "plainly"],
    "graphs off": ["NoneType", "in turn", "compiled"],
    "graphs off, dynamic": ["NoneType", "prefetching, graph False", "compiled"],
    "graphs off in ComfyUI": ["NoneType", "in turn", "compiled"],
    "a short song": ["Resident", "in turn", "plainly"],
    "an old card": ["Resident", "in turn", "plainly"],
    "compiling off": ["Resident", "in turn", "plainly"],
    "compiling on": ["NoneType", "in turn", "compiled"],
}


@pytest.mark.parametrize("case", CHOSEN)
def test_how_steps_run_follows_from_the_device_and_what_was_asked(findings: dict[str, Any], case: str):
    assert findings["chosen"][case] == CHOSEN[case]
