"""The conversion of saved workflows to prompts, against what frontend 1.32.9 made of the same graph."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.workflow import WorkflowError, to_prompt

# Cut from GET /object_info: a V3 node, core nodes, and a seed that is one by its name only.
OBJECT_INFO: dict[str, Any] = {
    "Song": {
        "display_name": "Song",
        "input": {
            "optional": {
                "audio": ["AUDIO", {}],
                "choice": ["COMBO", {"options": ["x", "y"], "control_after_generate": True}],
                "text": ["STRING", {"multiline": True}],
                "forced": ["STRING", {"forceInput": True}],
                "flag": ["BOOLEAN", {"default": True}],
            },
            "required": {
                "mode": ["COMBO", {"options": ["a", "b"]}],
                "seconds": ["FLOAT", {"default": 1.0}],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
            },
        },
        "input_order": {
            "required": ["seconds", "seed", "mode"],
            "optional": ["audio", "choice", "text", "forced", "flag"],
        },
    },
    "SaveAudio": {
        "display_name": "Save Audio (FLAC)",
        "input": {"required": {"audio": ["AUDIO", {}], "filename_prefix": ["STRING", {}]}},
        "input_order": {"required": ["audio", "filename_prefix"]},
    },
    "LoadAudio": {
        "display_name": "Load Audio",
        "input": {"required": {"audio": ["COMBO", {"audio_upload": True, "options": ["a.wav"]}]}},
        "input_order": {"required": ["audio"]},
    },
    "PrimitiveInt": {
        "display_name": "Int",
        "input": {"required": {"value": ["INT", {"control_after_generate": True}]}},
        "input_order": {"required": ["value"]},
    },
    "RandomNoise": {
        "display_name": "RandomNoise",
        "input": {"required": {"noise_seed": ["INT", {"default": 0}], "seed": ["FLOAT", {"default": 0.0}]}},
    },
    "Sampler": {
        "display_name": "Sampler",
        "input": {"required": {"name": [["euler", "heun"], {}], "sizes": ["INT", {}]}},
        "input_order": {"required": ["name", "sizes"]},
    },
}
# As saved by the editor: only linked widgets keep an input slot, and their own value stays in the list.
WORKFLOW: dict[str, Any] = {
    "version": 0.4,
    "nodes": [
        {
            "id": 1,
            "type": "Song",
            "mode": 0,
            "inputs": [
                {"name": "audio", "type": "AUDIO", "link": 1},
                {"name": "forced", "type": "STRING", "link": None},
                {"name": "seed", "type": "INT", "widget": {"name": "seed"}, "link": 5},
            ],
            "widgets_values": [1, 77, "randomize", "a", "x", "randomize", "", "la\nla", False],
        },
        {
            "id": 2,
            "type": "SaveAudio",
            "title": "Keep the song",
            "mode": 0,
            "inputs": [{"name": "audio", "type": "AUDIO", "link": 2}],
            "widgets_values": ["audio/ComfyUI"],
        },
        {"id": 4, "type": "LoadAudio", "mode": 0, "inputs": [], "widgets_values": ["a.wav", None, ""]},
        {"id": 6, "type": "PrimitiveInt", "mode": 0, "inputs": [], "widgets_values": [5, "fixed"]},
        {"id": 7, "type": "MarkdownNote", "mode": 0, "inputs": [], "widgets_values": ["Read me"]},
    ],
    "links": [[1, 4, 0, 1, 0, "AUDIO"], [2, 1, 0, 2, 0, "AUDIO"], [5, 6, 0, 1, 2, "INT"]],
}


@pytest.fixture
def workflow() -> dict[str, Any]:
    return copy.deepcopy(WORKFLOW)


def single(kind: str, values: Any) -> dict[str, Any]:
    return {"nodes": [{"id": 3, "type": kind, "mode": 0, "widgets_values": values}], "links": []}


def test_the_graph_becomes_the_prompt_the_editor_sends(workflow: dict[str, Any]) -> None:
    assert to_prompt(workflow, OBJECT_INFO) == {
        "1": {
            "inputs": {
                "seconds": 1,
                "seed": ["6", 0],
                "mode": "a",
                "audio": ["4", 0],
                "choice": "x",
                "text": "la\nla",
                "flag": False,
            },
            "class_type": "Song",
            "_meta": {"title": "Song"},
        },
        "2": {
            "inputs": {"filename_prefix": "audio/ComfyUI", "audio": ["1", 0]},
            "class_type": "SaveAudio",
            "_meta": {"title": "Keep the song"},
        },
        "4": {"inputs": {"audio": "a.wav"}, "class_type": "LoadAudio", "_meta": {"title": "Load Audio"}},
        "6": {"inputs": {"value": 5}, "class_type": "PrimitiveInt", "_meta": {"title": "Int"}},
    }


def test_an_unlinked_seed_keeps_its_value(workflow: dict[str, Any]) -> None:
    workflow["nodes"][0]["inputs"][2]["link"] = None
    assert to_prompt(workflow, OBJECT_INFO)["1"]["inputs"]["seed"] == 77


def test_a_seed_by_name_is_followed_by_its_control_only_if_it_is_an_integer() -> None:
    prompt = to_prompt(single("RandomNoise", [42, "fixed", 0.5]), OBJECT_INFO)
    assert prompt["3"]["inputs"] == {"noise_seed": 42, "seed": 0.5}


def test_a_control_that_the_schema_switches_off_takes_no_value() -> None:
    schema = {
        "Plain": {
            "input": {"required": {"seed": ["INT", {"control_after_generate": False}], "n": ["INT", {}]}}
        }
    }
    assert to_prompt(single("Plain", [1, 2]), schema)["3"]["inputs"] == {"seed": 1, "n": 2}


def test_an_old_style_choice_is_a_widget_and_a_list_value_is_wrapped() -> None:
    prompt = to_prompt(single("Sampler", ["heun", [1, 2]]), OBJECT_INFO)
    assert prompt["3"]["inputs"] == {"name": "heun", "sizes": {"__value__": [1, 2]}}


def test_a_muted_node_goes_and_takes_the_inputs_it_fed(workflow: dict[str, Any]) -> None:
    workflow["nodes"][3]["mode"] = 2
    prompt = to_prompt(workflow, OBJECT_INFO)
    assert "6" not in prompt
    assert "seed" not in prompt["1"]["inputs"]
    assert prompt["1"]["inputs"]["audio"] == ["4", 0]


def test_a_bypassed_node_is_refused(workflow: dict[str, Any]) -> None:
    workflow["nodes"][2]["mode"] = 4
    with pytest.raises(WorkflowError, match=r"Node 4 \(LoadAudio\) is bypassed"):
        to_prompt(workflow, OBJECT_INFO)


@pytest.mark.parametrize("kind", ["PrimitiveNode", "Reroute"])
def test_a_node_of_the_editor_alone_is_refused(kind: str) -> None:
    with pytest.raises(WorkflowError, match=kind):
        to_prompt(single(kind, []), {kind: {"input": {}}})


def test_a_subgraph_is_refused(workflow: dict[str, Any]) -> None:
    workflow["definitions"] = {"subgraphs": [{"id": "d8c0", "nodes": []}]}
    with pytest.raises(WorkflowError, match="subgraphs"):
        to_prompt(workflow, OBJECT_INFO)


def test_an_unknown_node_is_named() -> None:
    with pytest.raises(WorkflowError, match=r"Node 3 \(Elsewhere\) is unknown"):
        to_prompt(single("Elsewhere", []), OBJECT_INFO)


@pytest.mark.parametrize("values", [[], ["heun"], ["heun", 1, 2], {"name": "heun", "sizes": 1}])
def test_values_that_do_not_fit_the_schema_are_refused(values: Any) -> None:
    with pytest.raises(WorkflowError, match=r"Node 3 \(Sampler\) saves"):
        to_prompt(single("Sampler", values), OBJECT_INFO)


def test_a_link_that_is_not_in_the_table_is_refused(workflow: dict[str, Any]) -> None:
    workflow["links"] = workflow["links"][:2]
    with pytest.raises(WorkflowError, match="link 5"):
        to_prompt(workflow, OBJECT_INFO)
