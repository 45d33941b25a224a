"""The example workflows: laid out for a reader, and each runs on the tiny models as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
from support import pack
from support.comfy_server import ComfyServer, PromptRejected
from support.sentences import assert_one_sentence
from support.workflow import NOTES, to_prompt

EXAMPLES = sorted((pack.ROOT / "example_workflows").glob("*.json"))
LEAST_SECONDS = 5.0  # of what an example lets people hear
NEEDS_THE_USER = {  # what it asks for, in a sentence, before it runs
    "LeVo Get the Models": "accept_licence",
    "LeVo Re-render Saved Tokens": "has no song",
}


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def example(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def is_ours(node: dict[str, Any]) -> bool:
    return node["type"].startswith("LeVo")


def inside(node: dict[str, Any], group: dict[str, Any]) -> bool:
    left, top, width, height = group["bounding"]
    return left <= node["pos"][0] <= left + width and top <= node["pos"][1] <= top + height


def test_an_example_has_notes_and_all_its_nodes_in_numbered_groups(path: Path, example: dict[str, Any]):
    assert path.stem.startswith("LeVo ")
    assert any(node["type"] in NOTES for node in example["nodes"])
    titles = [group["title"] for group in example["groups"]]
    assert [title.split()[0] for title in titles] == [str(number + 1) for number in range(len(titles))]
    outside = [
        node["type"]
        for node in example["nodes"]
        if node["type"] not in NOTES and not any(inside(node, group) for group in example["groups"])
    ]
    assert outside == []


def test_notes_say_what_they_are_about_and_no_node_is_called_deprecated(
    example: dict[str, Any], object_info: dict[str, Any]
):
    for node in example["nodes"]:
        if node["type"] in NOTES:
            assert node["title"] not in ("", "Note", "Markdown Note")
        elif "DEPRECATED" in object_info[node["type"]]["display_name"]:
            assert node["title"] and "DEPRECATED" not in node["title"]


def test_nodes_of_an_example_name_their_pack_and_offer_the_renderer(example: dict[str, Any]):
    for node in filter(is_ours, example["nodes"]):
        properties = node["properties"]
        assert properties["cnr_id"] == "levo"
        assert properties["Node name for S&R"] == node["type"]
        if node["type"] == "LeVoLoadRenderer":
            assert properties["models"]


def test_an_example_runs_as_it_is_or_says_what_it_needs(
    server: ComfyServer, object_info: dict[str, Any], path: Path, example: dict[str, Any]
):
    prompt = to_prompt(example, object_info)
    if path.stem in NEEDS_THE_USER:
        said = complaint(server, prompt)
        assert_one_sentence(said)
        assert NEEDS_THE_USER[path.stem] in said
        return
    # Songs of the batch that are there already would not be made again.
    shutil.rmtree(server.base / "output" / "batch", ignore_errors=True)
    server.clear_cache()
    run = server.run(prompt)
    assert run.status == "success", run.error
    heard = [entry for output in run.outputs.values() for entry in output.get("audio", [])]
    assert heard
    lengths = [soundfile.info(server.output_file(entry)).duration for entry in heard]
    assert min(lengths) > LEAST_SECONDS, "people would take it for broken"


PAGES = ["LeVo Batch from JSONL", "LeVo Get the Models", "LeVo Stems", "LeVo Text to Song"]
PANELS = {  # of web/js, and their nodes
    "levo_sections": ["LeVoLyrics"],
    "levo_tags": ["LeVoDescription"],
    "levo_progress": ["LeVoExport", "LeVoSaveSong", "LeVoDownloadModels"],
}


def test_four_examples_say_what_they_show_as_a_page(
    path: Path, example: dict[str, Any], object_info: dict[str, Any]
):
    if path.stem not in PAGES:
        assert example["extra"] == {}
        return
    assert example["extra"]["linearMode"] is False, (
        "frontends before 1.41 would show a view that was never finished"
    )
    nodes = {node["id"]: node["type"] for node in example["nodes"]}
    page = example["extra"]["linearData"]
    for node, name, *_ in page["inputs"]:
        inputs = object_info[nodes[node]]["input"]
        inputs = {**inputs["required"], **inputs.get("optional", {})}
        assert name in inputs or nodes[node] in PANELS[name]
        folded = name in inputs and inputs[name][1].get("advanced")
        assert not folded, f"a page shows nothing in the row of {name}, which is folded away"
    assert page["outputs"]
    assert all(object_info[nodes[node]]["output_node"] for node in page["outputs"])


def complaint(server: ComfyServer, prompt: dict[str, Any]) -> str:
    """What a prompt is refused with, before or while it runs."""
    try:
        run = server.run(prompt)
    except PromptRejected as error:
        (reasons,) = (found["errors"] for found in error.node_errors.values())
        return reasons[0]["details"].partition(" - ")[2] or reasons[0]["details"]
    assert run.status == "error"
    return run.error["exception_message"]
