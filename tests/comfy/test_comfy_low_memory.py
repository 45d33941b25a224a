"""Where memory is short the pack says what to do, goes one after the other, and takes smaller pieces."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import findings_of
from support.sentences import assert_one_sentence


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """What low_memory.py saw."""
    return findings_of("low_memory.py")


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (
            "LeLM",
            "compose a shorter song (max_seconds) or fewer takes, choose int8 or a smaller checkpoint",
        ),
        ("Renderer", "render fewer takes at once or with guidance 1"),
        ("Vae", "close other programs"),
    ],
)
@pytest.mark.parametrize(("share", "missing"), [("0.5", 2_000), ("0.1", 3_600)])
def test_one_line_says_what_is_missing_and_what_to_do_about_that_model(
    findings: dict[str, Any], model: str, advice: str, share: str, missing: int
):
    (line,) = findings["said"][model][share]
    assert line.startswith(f"{model} does not fit the GPU: {missing} MB of its 4000 MB stream from RAM")
    assert "1100 MB are needed beside them" in line  # a tenth more than computed
    assert advice in line
    assert_one_sentence(line)
    assert findings["said"][model]["1.0"] == []


def test_a_song_that_does_not_fit_says_which_number_format_would(findings: dict[str, Any]):
    short = findings["short"]
    assert (
        short["fp16"]
        == short["fp16 dynamic"]
        == (
            "LeLM does not fit a card of 7.8 GiB with this song: 5.5 GB of weights and 2.7 GB more. "
            "Weights stream from RAM at every step, which is slow; choose dtype int8 in LeVo Load LeLM, "
            "which fits."
        )
    )
    assert "10.9 GB of weights" in short["fp32"] and "choose dtype fp16" in short["fp32"]
    assert short["nothing fits"].endswith("; compose a shorter song.")
    assert short["fp16, all there"] == short["int8 dynamic"] == short["int4 of the longest"] == ""


def test_models_go_together_only_where_both_fit_with_what_their_runs_need(findings: dict[str, Any]):
    assert findings["together"] == {"2.5": True, "1.0": False, "0.5": False, "0.1": False}
    assert findings["together once another leaves"]


@pytest.mark.parametrize(("most", "size"), [("130", 125), ("70", 64)])
def test_decoding_takes_smaller_pieces_until_they_fit(findings: dict[str, Any], most: str, size: int):
    seen = findings["decoded"][most]
    assert seen["failure"] == ""
    assert seen["last"] <= size
    assert seen["error"] < 1e-2  # random weights make much of rounding


def test_decoding_that_fits_is_not_cut_up_and_what_never_fits_fails(findings: dict[str, Any]):
    fits, never = (findings["decoded"][most] for most in ("1000", "10"))
    assert fits["first"] == fits["last"]
    assert "out of memory" in never["failure"]
    assert never["last"] == 64


def test_cancel_is_not_taken_for_a_lack_of_memory(findings: dict[str, Any]):
    assert findings["cancelled"]
