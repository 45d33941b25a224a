"""What ComfyUI shows of the pack: nodes, tooltips, help pages and a quiet start."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support import pack, songs
from support.comfy_server import PACK_NAME, ComfyServer, Response
from support.pack_nodes import NODES, inputs_of

# Newer hosts write the level before the text, in colour.
TIMING = re.compile(rf"(\x1b\[\d+m\[INFO\]\x1b\[0m)?\s*\d+\.\d+ seconds: /custom_nodes/{PACK_NAME}")


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest, object_info: dict[str, Any]) -> dict[str, Any]:
    return object_info[request.param]


def test_the_pack_registers_its_nodes_and_no_others(object_info: dict[str, Any]):
    ours = [
        name for name, node in object_info.items() if node["python_module"] == f"custom_nodes.{PACK_NAME}"
    ]
    assert sorted(ours) == sorted(NODES)


def test_a_node_is_described_and_stands_in_the_audio_menu(node: dict[str, Any]):
    assert node["description"].endswith(".")
    assert node["display_name"].startswith("LeVo ")
    assert node["category"].split("/")[:2] == ["audio", "LeVo"]
    assert not node["deprecated"] and not node["experimental"]


def test_every_input_has_a_tooltip(node: dict[str, Any]):
    without = [name for name, spec in inputs_of(node).items() if not spec[1].get("tooltip", "").strip()]
    assert inputs_of(node)
    assert without == []


def test_every_output_has_a_name_and_a_tooltip(node: dict[str, Any]):
    assert node["output"] or node["output_node"]
    assert len(node["output_tooltips"]) == len(node["output_name"]) == len(node["output"])
    assert all(text and text.strip() for text in [*node["output_tooltips"], *node["output_name"]])


def test_only_what_can_be_done_without_is_optional(object_info: dict[str, Any]):
    optional = {name: list(object_info[name]["input"].get("optional", {})) for name in NODES}
    assert {name: inputs for name, inputs in optional.items() if inputs} == {
        "LeVoLoadLeLM": ["attention", "compile", "verify", "cache"],
        "LeVoLoadRenderer": ["attention", "verify"],
        "LeVoLoadVAE": ["verify"],
        "LeVoLoadSeparator": ["verify"],
        "LeVoLoadStyleEncoder": ["verify"],
        "LeVoDownloadModels": [
            "style_encoder",
            "separator",
            "styles",
            "renderer_gguf",
            "vae_gguf",
            "source",
        ],
        "LeVoStyleFromLibrary": ["lyrics"],
        "LeVoStyleFromAudio": ["vocals", "accompaniment", "separator"],
        "LeVoConditioning": ["lyrics", "description", "style"],
        "LeVoCompose": ["preset"],
        "LeVoContinueSong": ["conditioning", "preset"],
        "LeVoSaveSong": ["format"],
        "LeVoFinishSong": ["tokens"],
        "LeVoExport": ["tokens", "vocals", "accompaniment", "cover"],
        "LeVoRender": ["style", "vae"],
        "LeVoSong": ["style", "vae", "preset"],
        "LeVoRenderStems": ["style", "vae"],
        "LeVoListen": ["mix", "vocals", "accompaniment", "tokens"],
        "LeVoMix": ["vocals", "accompaniment", "mix"],
    }


def test_defaults_of_sampling_and_rendering_are_the_released_ones(object_info: dict[str, Any]):
    compose, goes_on, render = (
        {name: spec[1].get("default") for name, spec in inputs_of(object_info[node]).items()}
        for node in ("LeVoCompose", "LeVoContinueSong", "LeVoRender")
    )
    sampling = ("guidance", "temperature", "top_k", "top_p", "repetition_window", "max_seconds")
    for node in (compose, goes_on):
        assert [node[name] for name in sampling] == [1.5, 0.8, 5000, 0, 50, 0]
    assert [render[name] for name in ("guidance", "steps", "track")] == [1.5, 10, "mix"]


def test_the_test_prompt_sets_every_required_input(object_info: dict[str, Any]):
    for entry in songs.song_prompt().values():
        required = set(object_info[entry["class_type"]]["input"]["required"])
        assert required <= set(entry["inputs"]), entry["class_type"]


@pytest.mark.parametrize("name", NODES)
def test_the_help_page_of_a_node_is_served_and_names_its_sockets(
    server: ComfyServer, object_info: dict[str, Any], name: str
):
    page = server.get(f"/extensions/{PACK_NAME}/docs/{name}.md")
    assert isinstance(page, Response)
    assert page.status == 200
    node = object_info[name]
    missing = [word for word in [*inputs_of(node), *node["output_name"]] if f"| {word} |" not in page.text]
    assert missing == []


def test_there_is_no_help_page_without_a_node():
    folder = Path(__file__).resolve().parents[2] / "web" / "docs"
    assert sorted(page.stem for page in folder.glob("*.md")) == sorted(NODES)


def test_the_start_leaves_nothing_of_the_pack_in_the_log_but_its_import_time(server: ComfyServer):
    start = server.log().partition("Starting server")[0]
    # The test environment's own folder may carry our name too.
    for folder in (str(server.base), sys.prefix, str(pack.comfyui_dir())):
        start = start.replace(folder, "")
    ours = [line for line in start.splitlines() if "levo" in line.lower()]
    assert len(ours) == 1
    assert TIMING.fullmatch(ours[0])
    assert "Traceback" not in start


def test_words_that_people_type_find_nodes_where_the_host_searches_them(object_info: dict[str, Any]):
    ours = {name: info for name, info in object_info.items() if name in NODES}
    if "search_aliases" not in ours["LeVoSong"]:
        pytest.skip("This ComfyUI searches names alone.")
    terms = "music, songgeneration, tencent, karaoke, demucs, instrumental, lufs, loudness, player, genre"
    for word in [*terms.split(", "), "text to music", "separate"]:
        assert any(word in (info["search_aliases"] or ()) for info in ours.values()), word


def test_what_a_newcomer_does_not_need_is_folded_where_the_host_can(object_info: dict[str, Any]):
    api = pack.comfyui_dir() / "comfy_api" / "latest" / "_io.py"
    folds = "self.advanced" in api.read_text(encoding="utf-8")
    compose = object_info["LeVoCompose"]["input"]["required"]
    folded = [name for name, options in compose.items() if options[1].get("advanced")]
    sampling = ["temperature", "top_k", "top_p", "repetition_window", "cuda_graph"]
    assert folded == (sampling if folds else [])
