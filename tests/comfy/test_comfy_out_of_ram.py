"""RAM that runs out on a CPU: every node that runs or loads models says it in a sentence."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from support.inside import findings_of
from support.sentences import assert_one_sentence

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

ADVICE = {
    "LeVoCompose": "LeVo Compose ran out of RAM (; compose a shorter song (max_seconds) or fewer takes",
    "LeVoRender": "LeVo Render ran out of RAM (; render fewer takes at once or with guidance 1",
    "LeVoRenderStems": "LeVo Render Stems ran out of RAM (; render fewer takes at once or with guidance 1",
    "LeVoDecode": "LeVo Decode ran out of RAM (; decode fewer takes at once, or close other programs.",
    "LeVoLoadVAE": "LeVo Load VAE ran out of RAM (; choose a smaller number format or checkpoint, or close",
}


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What out_of_ram.py saw."""
    return findings_of("out_of_ram.py")


@pytest.mark.parametrize("node", ADVICE)
def test_a_node_says_that_ram_ran_out_and_what_to_do(said: dict[str, Any], node: str):
    kind, sentence = said["limited"][node]
    assert kind == "OutOfRam"
    assert_one_sentence(sentence)
    for part in ADVICE[node].split("("):
        assert part in sentence
    assert " MB more were asked for)" in sentence


def test_every_way_in_which_ram_runs_out_is_told(said: dict[str, Any]):
    """Also where it was taken for a damaged file."""
    assert len(said["told"]) == 20
    for sentence in said["told"]:
        assert_one_sentence(sentence.removeprefix("OutOfRam: "))
        assert (
            sentence.startswith("OutOfRam: LeVo Node ran out of RAM") and "close other programs" in sentence
        )
    assert sum("8,590 MB more were asked for" in sentence for sentence in said["told"]) == 2


def test_every_node_tells(said: dict[str, Any]):
    assert said["untold"] == []


def test_other_errors_come_out_as_they_are(said: dict[str, Any]):
    assert said["others"] == ["ValueError: no", "OutOfMemoryError: CUDA out of memory", "KeyError: 'a'"]
