"""The blueprints (subgraphs/): ComfyUI finds them, and each is one node whose inside holds together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import pack
from support.comfy_server import ComfyServer

BLUEPRINTS = sorted((pack.ROOT / "subgraphs").glob("*.json"))
OUTER = {  # what people set and get, in this order
    "LeVo Song from Words": (
        ["lyrics", "tags", "max_seconds", "seed", "lelm", "renderer", "vae"],
        ["audio", "tokens"],
    ),
    "LeVo Song with Stems": (
        ["lyrics", "tags", "max_seconds", "seed", "lelm", "renderer", "vae"],
        ["mix", "vocals", "accompaniment", "tokens"],
    ),
    "LeVo Style of a Clip": (
        ["audio", "start", "auto", "separator", "septoken", "one_rvq"],
        ["style", "clip"],
    ),
}
WIDGETS = {"BOOLEAN", "COMBO", "FLOAT", "INT", "STRING"}
IN, OUT = -10, -20  # ids of the subgraph's own ends


@pytest.fixture(params=BLUEPRINTS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def blueprint(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def inside(blueprint: dict[str, Any]) -> dict[str, Any]:
    (definition,) = blueprint["definitions"]["subgraphs"]
    return definition


def names(slots: list[dict[str, Any]]) -> list[str]:
    return [slot["name"] for slot in slots]


def given(schema: dict[str, Any]) -> dict[str, str]:
    """The inputs of a node and their types."""
    both = {**schema["input"].get("required", {}), **schema["input"].get("optional", {})}
    return {name: "COMBO" if isinstance(spec[0], list) else spec[0] for name, spec in both.items()}


def test_comfyui_offers_every_blueprint(server: ComfyServer):
    offered = {entry["name"]: (key, entry) for key, entry in server.get("/global_subgraphs").items()}
    assert {path.stem for path in BLUEPRINTS} == set(OUTER)
    for path in BLUEPRINTS:
        key, entry = offered[path.stem]
        assert (entry["source"], entry["info"]["node_pack"]) == ("custom_node", "custom_nodes.ComfyUI-LeVo")
        assert server.get(f"/global_subgraphs/{key}")["data"] == path.read_text("utf-8")


def test_a_blueprint_is_one_node_with_what_people_set(
    path: Path, blueprint: dict[str, Any], inside: dict[str, Any]
):
    (outer,) = blueprint["nodes"]
    assert outer["type"] == inside["id"]
    assert outer["title"] == inside["name"] == path.stem
    assert (names(outer["inputs"]), names(outer["outputs"])) == OUTER[path.stem]
    assert (names(inside["inputs"]), names(inside["outputs"])) == OUTER[path.stem]
    assert inside["category"] == "audio/LeVo"
    assert inside["description"] == blueprint["extra"]["BlueprintDescription"]
    assert inside["description"].endswith(".")
    assert "levo" in blueprint["extra"]["BlueprintSearchAliases"]


def test_nodes_of_a_blueprint_are_ours_and_have_the_slots_that_they_name(
    inside: dict[str, Any], object_info: dict[str, Any]
):
    for node in inside["nodes"]:
        schema = object_info[node["type"]]
        assert node["type"].startswith("LeVo") and node["properties"]["cnr_id"] == "levo"
        for slot in node["inputs"]:
            assert given(schema)[slot["name"]] == slot["type"]
        assert names(node["outputs"]) == schema["output_name"]
        connected = {slot["name"] for slot in node["inputs"] if slot["link"] is not None}
        widgets = {"BOOLEAN", "COMBO", "FLOAT", "INT", "STRING"}
        needed = {
            name for name in schema["input"].get("required", {}) if given(schema)[name] not in widgets
        }
        assert needed <= connected, f"{node['type']} lacks {needed - connected}"


def test_links_of_a_blueprint_hold_at_both_ends(inside: dict[str, Any]):
    nodes = {node["id"]: node for node in inside["nodes"]}
    for link in inside["links"]:
        ends = []
        if link["origin_id"] == IN:
            ends.append(source := inside["inputs"][link["origin_slot"]])
            assert link["id"] in source["linkIds"]
        else:
            ends.append(source := nodes[link["origin_id"]]["outputs"][link["origin_slot"]])
            assert link["id"] in source["links"]
        if link["target_id"] == OUT:
            ends.append(target := inside["outputs"][link["target_slot"]])
            assert target["linkIds"] == [link["id"]]
        else:
            ends.append(target := nodes[link["target_id"]]["inputs"][link["target_slot"]])
            assert target["link"] == link["id"]
        assert {end["type"] for end in ends} == {link["type"]}
    known = {link["id"] for link in inside["links"]}
    named = {link for slot in inside["inputs"] for link in slot["linkIds"]}
    named |= {link for node in nodes.values() for slot in node["outputs"] for link in slot["links"]}
    assert named == known


def test_a_blueprint_leaves_the_models_to_the_machine(inside: dict[str, Any]):
    """A loader without saved values shows the best file that is there, as a new one does."""
    loaders = [node for node in inside["nodes"] if node["type"].startswith("LeVoLoad")]
    assert loaders and all("widgets_values" not in node for node in loaders)
