"""Presets: names for numbers, which never take the place of numbers."""

from __future__ import annotations

import pytest
from support.sentences import assert_one_sentence

from levo.config import CUSTOM, PRESETS, RENDER_STEPS, Sampling, SettingError, preset_sampling

NUMBERS = {"guidance": 1.5, "temperature": 0.8, "top_k": 5_000, "top_p": 0.0, "repetition_window": 50}


def test_the_presets_are_those_of_published_programs():
    found = {name: (preset.temperature, preset.top_k, preset.steps) for name, preset in PRESETS.items()}
    assert found == {
        "released": (0.8, 5_000, RENDER_STEPS),
        "levo-demo": (0.9, 50, 50),
        "gradio": (1.0, 50, RENDER_STEPS),
    }
    assert PRESETS["released"].sampling == {
        name: getattr(Sampling(), name) for name in ("temperature", "top_k", "top_p")
    }


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_with_its_numbers_leaves_the_others_free(name: str):
    numbers = {**NUMBERS, **PRESETS[name].sampling, "guidance": 3.0, "repetition_window": 0}
    assert preset_sampling(name, numbers) == Sampling(**numbers) == preset_sampling(CUSTOM, numbers)


@pytest.mark.parametrize(
    ("preset", "change"),
    [
        ("released", {"temperature": 0.9, "top_k": 50}),
        ("levo-demo", {}),
        ("gradio", {"temperature": 1.0}),
        ("gradio", {"temperature": 0.9, "top_k": 50}),
        ("released", {"top_p": 0.9}),  # which takes the place of top_k
    ],
)
def test_other_numbers_than_the_preset_stands_for_are_refused(preset: str, change: dict):
    with pytest.raises(SettingError, match=f"The preset {preset} stands for temperature") as raised:
        preset_sampling(preset, NUMBERS | change)
    assert_one_sentence(str(raised.value))
    assert preset_sampling(CUSTOM, NUMBERS | change) == Sampling(**(NUMBERS | change))


@pytest.mark.parametrize("preset", ["", "Released", None, 5, ["released"], "x" * 500])
def test_what_is_no_preset_is_refused(preset: object):
    with pytest.raises(SettingError, match=r"choose released, levo-demo, gradio or custom\.$") as raised:
        preset_sampling(preset, NUMBERS)
    assert len(str(raised.value)) < 150


def test_numbers_that_are_none_are_told_before_the_preset():
    with pytest.raises(SettingError, match="The temperature is nan"):
        preset_sampling("released", NUMBERS | {"temperature": float("nan")})


@pytest.mark.parametrize("divisor", [0, 0.0, -0.0, 1e-9, -1e-9, 101, float("nan")])
def test_a_divisor_that_makes_no_logits_is_refused(divisor: float):
    with pytest.raises(SettingError, match=r"^The repetition_divisor.* is .*; set it to a number from"):
        Sampling(repetition_divisor=divisor)


def test_a_divisor_may_be_negative():
    assert Sampling(repetition_divisor=-1.0).repetition_divisor == -1
