"""What ComfyUI shows of the pack: nodes, tooltips, help pages, model files and a quiet start."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pack
import pytest
import songs
import torch
from server import PACK_NAME, ComfyServer, PromptRejected, Response

NODES = [
    "LeVoLoadLeLM",
    "LeVoLoadRenderer",
    "LeVoLoadVAE",
    "LeVoLyrics",
    "LeVoDescription",
    "LeVoConditioning",
    "LeVoCompose",
    "LeVoRender",
    "LeVoDecode",
]
TINY = "tiny (built in, random weights: sounds like noise)"
TIMING = re.compile(rf"\s*\d+\.\d+ seconds: /custom_nodes/{PACK_NAME}")


def inputs_of(node: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        name: spec
        for group in ("required", "optional")
        for name, spec in node["input"].get(group, {}).items()
    }


def choices(server: ComfyServer, node: str) -> list[str]:
    return inputs_of(server.get(f"/object_info/{node}")[node])["checkpoint"][1]["options"]


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
    assert node["output"]
    assert len(node["output_tooltips"]) == len(node["output_name"]) == len(node["output"])
    assert all(text and text.strip() for text in [*node["output_tooltips"], *node["output_name"]])


def test_only_the_texts_of_conditioning_are_optional(object_info: dict[str, Any]):
    optional = {name: list(object_info[name]["input"].get("optional", {})) for name in NODES}
    assert {name: inputs for name, inputs in optional.items() if inputs} == {
        "LeVoConditioning": ["lyrics", "description"]
    }


def test_defaults_of_sampling_and_rendering_are_the_released_ones(object_info: dict[str, Any]):
    compose, render = (
        {name: spec[1].get("default") for name, spec in inputs_of(object_info[node]).items()}
        for node in ("LeVoCompose", "LeVoRender")
    )
    sampling = ("guidance", "temperature", "top_k", "top_p", "repetition_window", "max_seconds")
    assert [compose[name] for name in sampling] == [1.5, 0.8, 5000, 0, 50, 0]
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


# ------------------------------------------------------------------ model files


@pytest.fixture
def release(server: ComfyServer) -> Iterator[Path]:
    """A release in models/levo, of which only the names are right."""
    folder = server.base / "models" / "levo" / "release"
    files = ("model.pt", "config.yaml", "ckpt/model_2.safetensors", "ckpt/vae/autoencoder_music_1320k.ckpt")
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")
    yield folder
    for file in files:
        (folder / file).unlink()


def test_without_files_only_the_tiny_models_are_offered(server: ComfyServer):
    assert "levo" in server.get("/models")
    assert server.get("/models/levo") == []
    for node in NODES[:3]:
        assert choices(server, node) == [TINY]


def test_files_of_a_release_are_offered_by_the_loader_they_are_for(server: ComfyServer, release: Path):
    assert "release/model.pt" in server.get("/models/levo")
    assert choices(server, "LeVoLoadLeLM") == ["release/model.pt", TINY]
    assert choices(server, "LeVoLoadRenderer") == ["release/ckpt/model_2.safetensors", TINY]
    assert choices(server, "LeVoLoadVAE") == ["release/ckpt/vae/autoencoder_music_1320k.ckpt", TINY]


def test_a_lelm_file_without_its_config_is_not_offered(server: ComfyServer, release: Path):
    (release / "config.yaml").rename(release / "config.txt")
    offered = choices(server, "LeVoLoadLeLM")
    (release / "config.txt").rename(release / "config.yaml")
    assert offered == [TINY]


@pytest.mark.parametrize(
    ("loader", "file"),
    [
        ("loadlelm", "release/model.pt"),
        ("loadrenderer", "release/ckpt/model_2.safetensors"),
        ("loadvae", "release/ckpt/vae/autoencoder_music_1320k.ckpt"),
    ],
)
def test_an_empty_file_stops_the_run_with_a_sentence_that_names_it(
    server: ComfyServer, release: Path, loader: str, file: str
):
    run = server.run(songs.song_prompt(**{loader: {"checkpoint": file}, "compose": {"max_seconds": 2}}))
    assert run.status == "error"
    assert run.error["exception_type"].endswith("CheckpointError")
    assert Path(file).name in run.error["exception_message"]
    songs.assert_one_sentence(run.error["exception_message"])


class Intruder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_file_with_code_in_it_is_refused_in_a_sentence_and_not_run(
    server: ComfyServer, release: Path, tmp_path: Path
):
    torch.save({"weight": Intruder(tmp_path / "intruded")}, release / "model.pt")
    run = server.run(songs.song_prompt(loadlelm={"checkpoint": "release/model.pt"}))
    assert run.status == "error"
    assert not (tmp_path / "intruded").exists()
    assert run.error["exception_type"].endswith("CheckpointError")
    songs.assert_one_sentence(run.error["exception_message"])
    assert "weights_only" not in run.error["exception_message"]


def test_a_file_that_is_gone_is_named(server: ComfyServer):
    try:
        run = server.run(songs.song_prompt(loadvae={"checkpoint": "gone/autoencoder_music_1320k.ckpt"}))
    except PromptRejected as refusal:  # later versions of ComfyUI check the choice themselves
        assert "gone/autoencoder_music_1320k.ckpt" in str(refusal)
    else:
        assert run.error["exception_type"].endswith("CheckpointError")
        songs.assert_one_sentence(run.error["exception_message"])
        assert (
            "There is no gone/autoencoder_music_1320k.ckpt in models/levo" in run.error["exception_message"]
        )
