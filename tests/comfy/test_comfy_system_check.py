"""LeVo System Check, and what tooltips say of this machine, in a real ComfyUI."""

from __future__ import annotations

import getpass
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import libraries, releases
from support.comfy_server import ComfyServer, Run
from support.hub_server import Hub
from support.node_texts import texts_of

FREE = r"[\d.]+ GiB free"
SECTIONS = ["Versions:", "Device:", "Files:", "What fits:"]


@pytest.fixture
def models(server: ComfyServer) -> Iterator[Path]:
    """models/levo with some files, one of them damaged and one with a name of its user."""
    folder = server.base / "models" / "levo"
    shutil.rmtree(folder, ignore_errors=True)
    releases.write_release(folder / "SongGeneration-v2-medium", "v2-medium")
    releases.write_release(folder / "my own" / "songgeneration_base", "base")
    libraries.write(folder / "tools" / "new_prompt.pt", libraries.unspoken())
    (folder / "autoencoder_music_1320k.ckpt").write_bytes(b"")
    yield folder
    shutil.rmtree(folder)


def prompt(**inputs: Any) -> dict[str, Any]:
    return {
        "1": {"class_type": "LeVoSystemCheck", "inputs": {"card_gb": 0, "takes": 1, **inputs}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def report_of(run: Run) -> str:
    assert run.status == "success", run.error
    (text,) = run.outputs["2"]["text"]
    return text


def section(report: str, name: str) -> list[str]:
    (found,) = (part for part in report.split("\n\n") if part.startswith(f"{name}:\n"))
    return found.splitlines()[1:]


def test_the_report_has_its_sections_on_the_node_and_as_output(server: ComfyServer):
    run = server.run(prompt())
    report = report_of(run)
    assert [line for line in report.splitlines() if line in SECTIONS] == SECTIONS
    assert run.outputs["1"]["text"] == [report]
    again = texts_of(server, prompt())[-1]  # of another run: what is free changes
    assert re.sub(FREE, "", again) == re.sub(FREE, "", report)


def test_versions_are_those_that_are_installed(server: ComfyServer):
    said = section(report_of(server.run(prompt())), "Versions")
    for what in (
        "ComfyUI-LeVo 0.",
        "ComfyUI 0.",
        "torch 2.",
        "flash-attn: ",
        "Triton: ",
        "comfy_kitchen: ",
    ):
        assert any(line.startswith(what) for line in said), what
    assert any(line.startswith("dynamic VRAM: o") for line in said)
    assert not any("unknown" in line for line in said)


def test_an_empty_folder_is_told_with_where_to_get_each_part(server: ComfyServer, object_info: dict):
    said = section(report_of(server.run(prompt())), "Files")
    assert len(said) == 6 and all(line.startswith("missing, ") for line in said)
    assert sum("needed for every song" in line for line in said) == 3
    downloads = object_info["LeVoDownloadModels"]["input"]
    for line in said:
        name = line.rpartition("(")[2].split()[0]
        assert name in {**downloads["required"], **downloads["optional"]}, line


def test_files_are_named_below_the_folder_of_models_and_damaged_ones_too(server: ComfyServer, models: Path):
    report = report_of(server.run(prompt()))
    said = section(report, "Files")
    text = "\n".join(said)
    assert "LeLM: v2-medium (" in text and "), SongGeneration-v2-medium/model.pt" in text
    assert "LeLM: base (" in text and "), my own/songgeneration_base/model.pt" in text
    assert "prompt library: new_prompt (" in text and ", tools/new_prompt.pt" in text
    assert "VAE: damaged levo/autoencoder_music_1320k.ckpt" in text
    assert [line for line in said if line.startswith("missing, needed")] == [
        "missing, needed for every song: renderer (renderer of LeVo Download Models)"
    ]


def test_no_path_and_no_user_is_in_the_report(server: ComfyServer, models: Path):
    report = report_of(server.run(prompt()))
    for private in (
        str(models),
        str(server.base),
        str(Path.home()) + "/",
        "/tmp",
        f"/{getpass.getuser()}/",
    ):
        assert private not in report


def test_what_fits_is_told_of_the_files_that_are_there_and_of_the_releases(server, models: Path):
    said = section(report_of(server.run(prompt(card_gb=12))), "What fits")
    assert said[0] == "a card of 12.0 GiB, one take"
    assert said[1] == (
        "v2-medium as fp16: 5.5 GB of weights, 2:30 with 2.7 GB more fits, 4:30 with 4.2 GB more fits"
    )
    assert said[2] == "base as fp16: 5.5 GB of weights, 2:30 with 2.4 GB more fits"
    assert said[3].startswith("v2-large as fp16: 10.0 GB of weights, 2:30 with 4.2 GB more streams, ")
    assert said[4].startswith("v2-large as int8: 5.2 GB of weights, 2:30 with 4.2 GB more fits, 4:30 ")
    assert said[5].startswith("v2-large as int4: 3.2 GB of weights, 2:30 with 4.2 GB more fits, 4:30 ")
    assert [line.split(":")[0] for line in said[6:8]] == ["renderer", "VAE"]
    assert said[8:] == [
        "of your files: Best is v2-medium with dtype fp16, whose longest song fits.",
        "of the releases: Best is v2-medium with dtype fp16, whose longest song fits.",
    ]


@pytest.mark.parametrize(
    ("card", "takes", "best"),
    [
        (2, 1, "No LeLM fits, not even streamed"),
        (4, 1, "Best is v2-medium with dtype int4, which streams from RAM and is slow"),
        (6, 1, "Best is v2-medium with dtype int8: songs of 2:30 fit, longer ones stream"),
        (8, 1, "Best is v2-medium with dtype int8, whose longest song fits"),
        (24, 1, "Best is v2-large with dtype fp16, whose longest song fits"),
        (80, 8, "Best is v2-large with dtype fp16"),
    ],
)
def test_another_card_gets_its_own_answer(server: ComfyServer, card: float, takes: int, best: str):
    said = section(report_of(server.run(prompt(card_gb=card, takes=takes))), "What fits")
    assert said[0].endswith(", one take" if takes == 1 else f", {takes} takes at once")
    assert said[-1].startswith(f"of the releases: {best}")


def test_nothing_is_asked_of_the_network_and_files_are_looked_for_anew(
    server: ComfyServer, model_hub: Hub, models: Path
):
    assert "my own/" in report_of(server.run(prompt()))
    shutil.rmtree(models / "my own")
    assert "my own/" not in report_of(server.run(prompt()))
    assert model_hub.requests == []


def tooltip(server: ComfyServer, node: str, name: str = "checkpoint") -> str:
    return server.get(f"/object_info/{node}")[node]["input"]["required"][name][1]["tooltip"]


def test_the_lists_say_what_fits_before_anything_is_loaded(server: ComfyServer, models: Path):
    said = tooltip(server, "LeVoLoadLeLM")
    assert "On this machine (RAM of " in said and "v2-medium as fp16: " in said and "base as " in said
    assert "v2-large" not in said  # which is not there
    assert "On this machine (RAM of " in tooltip(server, "LeVoLoadRenderer")
    assert "On this machine (RAM of " in tooltip(server, "LeVoLoadVAE")
    assert "On this machine (RAM of " in tooltip(server, "LeVoDownloadModels", "lelm")
    assert "On this machine" not in tooltip(server, "LeVoLoadSeparator")


def test_a_config_that_is_broken_takes_no_node_away(server: ComfyServer, models: Path):
    (models / "SongGeneration-v2-medium" / "config.yaml").write_text("{", "utf-8")
    assert "v2-medium as" not in tooltip(server, "LeVoLoadLeLM")
    assert "LeLM: v2-medium" in report_of(server.run(prompt()))
