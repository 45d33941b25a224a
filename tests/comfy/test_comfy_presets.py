"""Presets of sampling through the API, where nothing fills fields in: the numbers count."""

from __future__ import annotations

from typing import Any

import pytest
from support import songs
from support.comfy_server import ComfyServer, PromptRejected
from support.pack_nodes import inputs_of
from support.sentences import assert_one_sentence

COMPOSERS = {"LeVoCompose": (), "LeVoContinueSong": (), "LeVoSong": ("render_steps",)}


def compose_prompt(**inputs: Any) -> dict[str, Any]:
    prompt = songs.song_prompt()
    (compose,) = (key for key, node in prompt.items() if node["class_type"] == "LeVoCompose")
    prompt[compose]["inputs"].update(max_seconds=1, **inputs)
    return prompt


@pytest.mark.parametrize("node", COMPOSERS)
def test_a_preset_comes_last_and_by_default_stands_for_nothing(object_info: dict[str, Any], node: str):
    *_, last = inputs_of(object_info[node])
    assert last == "preset"
    kind, spec = object_info[node]["input"]["optional"]["preset"]
    assert spec["default"] == "custom"
    assert spec["options"] == ["released", "levo-demo", "gradio", "custom"]


@pytest.mark.parametrize(("node", "more"), COMPOSERS.items())
def test_the_editor_is_told_numbers_that_the_fields_can_hold(
    object_info: dict[str, Any], node: str, more: tuple[str, ...]
):
    fields = inputs_of(object_info[node])
    numbers = fields["preset"][1]["numbers"]
    assert list(numbers) == ["released", "levo-demo", "gradio"]
    for preset in numbers.values():
        assert list(preset) == ["temperature", "top_k", "top_p", *more]
        for name, number in preset.items():
            assert fields[name][1]["min"] <= number <= fields[name][1]["max"]
    assert numbers["released"] == {name: fields[name][1]["default"] for name in numbers["released"]}


@pytest.mark.parametrize(
    "inputs", [{}, {"preset": "released"}, {"preset": "gradio", "temperature": 1.0, "top_k": 50}]
)
def test_a_preset_with_its_numbers_composes(server: ComfyServer, inputs: dict[str, Any]):
    run = server.run(compose_prompt(**{"temperature": 0.8, "top_k": 5000, **inputs}))
    assert run.status == "success", run.error


def test_a_preset_with_other_numbers_is_refused_and_says_both(server: ComfyServer):
    run = server.run(compose_prompt(preset="levo-demo", temperature=0.8, top_k=5000))
    assert run.status == "error"
    sentence = run.error["exception_message"].strip()
    assert_one_sentence(sentence)
    assert "levo-demo stands for temperature 0.9, top_k 50, top_p 0" in sentence
    assert "the numbers are temperature 0.8, top_k 5000, top_p 0" in sentence


def test_a_name_that_is_no_preset_is_refused(server: ComfyServer):
    try:
        run = server.run(compose_prompt(preset="louder"))
    except PromptRejected:  # by ComfyUIs that check optional choices
        return
    assert run.status == "error"
    assert_one_sentence(run.error["exception_message"].strip())
