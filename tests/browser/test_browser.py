"""The real frontend in Chromium: example workflows open as they should."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support import pack
from support.comfy_server import ComfyServer
from support.workflow import to_prompt

from levo.files import catalogue

SCRIPT = Path(__file__).parent / "open_workflow.mjs"
TITLE = 30  # height of a title bar
EXAMPLES = sorted((pack.ROOT / "example_workflows").glob("*.json"))


def open_in_browser(server: ComfyServer, workflow: Path, picture: Path) -> dict:
    if "LEVO_BROWSER_DIR" not in os.environ:
        pytest.fail("LEVO_BROWSER_DIR is not set; run the tests with make test.")
    command = ["node", str(SCRIPT), server.url, str(workflow), str(picture)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def without_extras(prompt: dict) -> dict:
    """The prompt without the editor's audio players, which carry no value, and, of 1.58, nodes' packs."""
    for node in prompt.values():
        node["inputs"].pop("audioUI", None)
        node["_meta"] = {"title": node["_meta"]["title"]}
    return prompt


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> dict:
    return json.loads(request.param.read_text(encoding="utf-8")) | {"path": request.param}


@pytest.fixture(scope="module")
def opened(server: ComfyServer, example: dict, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return open_in_browser(server, example["path"], tmp_path_factory.mktemp("browser") / "graph.jpg")


def test_example_opens_whole_and_without_complaints(opened: dict, example: dict):
    assert opened["dialogs"] == opened["overlays"] == []
    assert opened["errors"] == []
    assert [node["type"] for node in opened["nodes"] if node["missing"]] == []
    assert {node["type"] for node in opened["nodes"]} == {node["type"] for node in example["nodes"]}


def test_editor_queues_what_the_file_says(opened: dict, example: dict, object_info: dict):
    assert without_extras(opened["prompt"]) == without_extras(to_prompt(example, object_info))


def test_nodes_of_an_example_stand_apart(opened: dict):
    nodes = opened["nodes"]
    for node in nodes:
        assert node["size"][1] >= node["least"][1], f"{node['type']} is squeezed"
    for a in nodes:
        for b in nodes:
            assert a["id"] >= b["id"] or not overlaps(a, b), f"{a['type']} covers {b['type']}"


def overlaps(a: dict, b: dict) -> bool:
    """Whether nodes lie over each other, with their title bars, which lie above their positions."""
    return all(
        a["position"][axis] - bar < b["position"][axis] + b["size"][axis]
        and b["position"][axis] - bar < a["position"][axis] + a["size"][axis]
        for axis, bar in ((0, 0), (1, TITLE))
    )


def test_editor_offers_a_missing_renderer_for_download(server: ComfyServer, tmp_path: Path):
    song = json.loads((pack.ROOT / "example_workflows" / "LeVo Text to Song.json").read_text("utf-8"))
    (loader,) = (node for node in song["nodes"] if node["type"] == "LeVoLoadRenderer")
    (model,) = loader["properties"]["models"]
    loader["widgets_values"][0] = model["name"]  # as somebody who has the file would share it
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(song), encoding="utf-8")
    opened = open_in_browser(server, path, tmp_path / "graph.jpg")
    if opened["dialogs"]:  # of frontends before 1.40
        (told,) = opened["dialogs"]
        assert f"levo / {model['name']}" in told
        assert "Download" in told
    else:
        (told,) = opened["overlays"]
        assert model["name"] in told
    assert "Invalid" not in told and "Only allowed" not in told


def test_a_download_that_an_example_offers_is_the_one_in_the_catalogue():
    (file,) = catalogue.RENDERER
    models = [m for path in EXAMPLES for m in offered(json.loads(path.read_text("utf-8")))]
    assert models
    for model in models:
        assert model["url"].endswith(f"/{file.repository}/resolve/{file.revision}/{file.path}")
        assert (model["name"], model["hash"]) == (Path(file.path).name, file.sha256)


def offered(workflow: dict) -> list[dict]:
    return [model for node in workflow["nodes"] for model in node["properties"].get("models", ())]


def test_every_example_has_a_thumbnail():
    assert EXAMPLES
    for workflow in EXAMPLES:
        assert workflow.with_suffix(".jpg").read_bytes().startswith(b"\xff\xd8\xff")
