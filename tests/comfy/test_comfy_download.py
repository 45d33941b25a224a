"""LeVo Download Models in a real ComfyUI, with the hub of the tests behind HF_ENDPOINT."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.comfy_server import ComfyServer, Message, PromptRejected, Run
from support.hub_server import Hub
from support.node_texts import texts_of
from support.sentences import assert_one_sentence

REPOSITORY, RELEASE = "lglg666/SongGeneration-base", "base (11.3 GB)"
CHUNK = 10 * 1024 * 1024  # what huggingface_hub writes at once
CONTENT = random.Random(1).randbytes(3 * CHUNK)
CONFIG = b"max_dur: 150\n"
LELMS = [
    "v2-medium (7.3 GB)",
    "v2-large (12.9 GB)",
    "base (11.3 GB)",
    "base-new (11.3 GB)",
    "base-full (11.3 GB)",
    "large (20.5 GB)",
    "v1.5-beta (20.5 GB)",
    "GGUF v2-medium-F16 (5.5 GB)",
    "GGUF v2-medium-Q8_0 (2.9 GB)",
    "GGUF v2-medium-Q6_K (2.2 GB)",
    "GGUF v2-medium-Q5_K_M (2.1 GB)",
    "GGUF v2-medium-Q4_K_M (1.9 GB)",
    "GGUF v2-large-F16 (10.0 GB)",
    "GGUF v2-large-Q8_0 (5.3 GB)",
    "GGUF v2-large-Q6_K (4.1 GB)",
    "GGUF v2-large-Q5_K_M (3.8 GB)",
    "GGUF v2-large-Q4_K_M (3.4 GB)",
    "none",
]
PAGE = "https://huggingface.co/tencent/SongGeneration"


@pytest.fixture
def hub(model_hub: Hub) -> Iterator[Hub]:
    """The hub with the release `base`, whose hashes nobody published: any content will do."""
    model_hub.publish(REPOSITORY, "config.yaml", CONFIG, lfs=False)
    model_hub.publish(REPOSITORY, "model.pt", CONTENT)
    yield model_hub
    model_hub.reset()


@pytest.fixture
def folder(server: ComfyServer) -> Iterator[Path]:
    """models/levo, empty before and after."""
    folder = server.base / "models" / "levo"
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def prompt(**inputs: Any) -> dict[str, Any]:
    chosen = {"lelm": RELEASE, "renderer": False, "vae": False, "accept_licence": True, **inputs}
    return {
        "1": {"class_type": "LeVoDownloadModels", "inputs": chosen},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def report_of(run: Run) -> list[str]:
    assert run.status == "success", run.error
    return run.outputs["2"]["text"][0].splitlines()


def refusal(server: ComfyServer, **inputs: Any) -> str:
    """The sentence of a run that fails."""
    run = server.run(prompt(**inputs))
    assert run.status == "error"
    assert run.error["node_id"] == "1"
    assert_one_sentence(run.error["exception_message"])
    return run.error["exception_message"].strip()


def test_nothing_is_asked_for_before_the_node_runs(
    server: ComfyServer, model_hub: Hub, object_info: dict[str, Any]
):
    node = object_info["LeVoDownloadModels"]
    assert node["output_node"]
    assert node["input"]["required"]["lelm"][1]["options"] == LELMS
    assert {name: spec[1].get("default") for name, spec in node["input"]["optional"].items()} == {
        "style_encoder": False,
        "separator": False,
        "styles": False,
        "renderer_gguf": "none",
        "vae_gguf": "none",
        "source": "as published",
    }
    defaults = {name: spec[1].get("default") for name, spec in node["input"]["required"].items()}
    assert defaults == {
        "lelm": "v2-medium (7.3 GB)",
        "renderer": True,
        "vae": True,
        "accept_licence": False,
    }
    with pytest.raises(PromptRejected):
        server.queue(prompt(accept_licence=False))
    assert model_hub.requests == []


def test_the_licence_is_shown_and_must_be_accepted(server: ComfyServer, object_info: dict[str, Any]):
    node = object_info["LeVoDownloadModels"]
    for text in (node["description"], node["input"]["required"]["accept_licence"][1]["tooltip"]):
        assert "no commercial use" in text and PAGE in text
    with pytest.raises(PromptRejected) as refused:
        server.queue(prompt(accept_licence=False))
    assert refused.value.status == 400
    (error,) = refused.value.node_errors["1"]["errors"]
    assert "accept_licence" in error["details"] and PAGE in error["details"]
    assert_one_sentence(error["details"].removeprefix("accept_licence - "))


def test_a_licence_that_another_node_refuses_stops_the_run(server: ComfyServer, hub: Hub):
    queued = prompt(accept_licence=["3", 0])
    queued["3"] = {"class_type": "PrimitiveBoolean", "inputs": {"value": False}}
    run = server.run(queued)
    assert run.status == "error"
    assert "runs when accept_licence is ticked" in run.error["exception_message"]
    assert hub.requests == []


def test_files_land_in_models_levo_and_are_kept_the_second_time(
    server: ComfyServer, hub: Hub, folder: Path
):
    release = folder / "SongGeneration-base"
    files = [release / "config.yaml", release / "model.pt"]
    first = server.run(prompt())
    assert report_of(first)[:2] == [f"Downloaded {path}" for path in files]
    assert "Press R" in report_of(first)[2]
    assert [path.read_bytes() for path in files] == [CONFIG, CONTENT]
    assert sorted(path.name for path in release.iterdir()) == ["config.yaml", "model.pt"]

    hub.requests.clear()
    again = server.run(prompt())
    assert report_of(again)[:2] == [f"Kept {path}" for path in files]
    (file,) = again.outputs["1"]["files"]  # which a page of outputs shows
    assert server.output_file(file).read_text("utf-8").splitlines() == report_of(again)
    assert hub.requests == []

    files[1].unlink()
    report = report_of(server.run(prompt()))
    assert report[:2] == [f"Kept {files[0]}", f"Downloaded {files[1]}"]


def test_bytes_move_the_progress_bar(server: ComfyServer, hub: Hub, folder: Path):
    hub.faults.pause = 0.002
    run = server.run(prompt())
    bar = [
        (each.data["value"], each.data["max"])
        for each in run.of_type("progress")
        if each.data["node"] == "1"
    ]
    total = len(CONFIG) + len(CONTENT)
    assert {most for _, most in bar} == {total}
    assert bar == sorted(bar)
    assert bar[-1] == (total, total)
    assert len(bar) >= 3


def test_the_node_shows_bytes_and_speed_and_then_the_report(server: ComfyServer, hub: Hub, folder: Path):
    hub.faults.pause = 0.005  # three chunks of 10 MB take about a second each
    *steps, report = texts_of(server, prompt())
    assert steps
    assert all(
        step.startswith("model.pt: 0.0 of 0.0 GB in all, ") and step.endswith(" MB/s") for step in steps
    )
    assert report.startswith("Downloaded ") and "Press R" in report


def test_cancel_keeps_the_partial_file_and_the_next_run_goes_on(
    server: ComfyServer, hub: Hub, folder: Path
):
    hub.faults.pause = 0.005

    def cancel(message: Message) -> None:
        if message.type == "progress" and message.data["value"] > CHUNK:
            server.interrupt()

    run = server.run(prompt(), on_message=cancel)
    assert run.status == "interrupted"
    assert run.error["node_id"] == "1"
    part = folder / "SongGeneration-base" / "model.pt.part"
    come = part.stat().st_size
    assert come in (CHUNK, 2 * CHUNK)
    assert part.read_bytes() == CONTENT[:come]
    assert not part.with_suffix("").exists()

    hub.requests.clear()
    hub.faults.pause = 0
    assert report_of(server.run(prompt()))[1].startswith("Downloaded ")
    assert hub.ranges() == [f"bytes={come}-"]
    assert part.with_suffix("").read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_refused_before_the_download(
    server: ComfyServer, hub: Hub, folder: Path
):
    medium, commit = "lglg666/SongGeneration-v2-medium", "7d91660ebfa041e29bace194f5631e775796f600"
    for name in ("config.yaml", "model.pt"):
        hub.publish(medium, name, CONFIG, commit=commit)
    sentence = refusal(server, lelm="v2-medium (7.3 GB)")
    assert (
        f"{hub.url} offers another SongGeneration-v2-medium/config.yaml than was published (13" in sentence
    )
    assert "not 3,351 bytes" in sentence
    assert hub.requests_by("GET") == []
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("faults", "phrase"),
    [
        (
            {"status": 401, "code": "GatedRepo"},
            f"accept its licence on https://huggingface.co/{REPOSITORY}",
        ),
        ({"status": 404, "code": "EntryNotFound"}, f"has no config.yaml of {REPOSITORY} at revision main"),
        ({"cdn_status": 500}, f"answered 500 for config.yaml of {REPOSITORY}; try again later"),
    ],
    ids=["gated", "not found", "server error"],
)
def test_a_refusal_of_the_hub_reaches_the_user_as_a_sentence(
    server: ComfyServer, hub: Hub, folder: Path, faults: dict[str, Any], phrase: str
):
    vars(hub.faults).update(faults)
    assert phrase in refusal(server)


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("renderer", "ckpt/model_septoken/model_2.safetensors of lglg666/SongGeneration-Runtime"),
        ("vae", "ckpt/vae/autoencoder_music_1320k.ckpt of lglg666/SongGeneration-Runtime"),
        ("style_encoder", "ckpt/model_1rvq/model_2_fixed.safetensors of tencent/SongGeneration"),
        ("separator", "third_party/demucs/ckpt/htdemucs.pth of lglg666/SongGeneration-Runtime"),
        ("styles", "tools/new_prompt.pt of tencent/SongGeneration"),
    ],
)
def test_a_part_is_asked_for_when_it_is_chosen(server: ComfyServer, hub: Hub, part: str, file: str):
    assert f"has no {file}" in refusal(server, lelm="none", **{part: True})
    place = "spaces/" if part == "styles" else ""
    assert [each.path.partition("/resolve")[0] for each in hub.requests] == [
        f"/{place}{file.rpartition(' of ')[2]}"
    ]


@pytest.mark.parametrize(
    ("chosen", "file"),
    [
        ({"lelm": "GGUF v2-medium-Q4_K_M (1.9 GB)"}, "LeVo2-v2-medium-Q4_K_M.gguf"),
        ({"lelm": "none", "renderer_gguf": "GGUF v2-flow-Q6_K (0.7 GB)"}, "LeVo2-v2-flow-Q6_K.gguf"),
        ({"lelm": "none", "vae_gguf": "GGUF v2-vae-F16 (0.2 GB)"}, "LeVo2-v2-vae-F16.gguf"),
    ],
)
def test_a_small_file_of_another_content_is_refused(
    server: ComfyServer, hub: Hub, folder: Path, chosen, file
):
    commit = "9d7b5746fdc74fdc80f85295e7b6c783be3703da"
    hub.publish("ckadirt/LeVo2-GGUF", file, CONTENT, commit=commit)
    assert f"offers another LeVo2-GGUF/{file} than was published" in refusal(server, **chosen)
    assert hub.requests_by("GET") == []


def test_a_source_is_asked_for_what_it_has_copies_of_and_no_more(
    server: ComfyServer, hub: Hub, folder: Path
):
    from_there = {"lelm": "none", "vae": True, "source": "eastmoe/SongGeneration"}
    sentence = refusal(server, **from_there)
    assert "has no common/vae/autoencoder_music_1320k.ckpt of eastmoe/SongGeneration" in sentence
    hub.requests.clear()
    run = server.run(prompt(source="eastmoe/SongGeneration"))  # base: nobody knows its hash
    assert report_of(run)[0].startswith("Downloaded ")
    assert {each.path.removeprefix("/cdn").removeprefix("/cache")[:28] for each in hub.requests} == {
        f"/{REPOSITORY}"[:28]
    }


def test_a_run_with_nothing_chosen_says_so(server: ComfyServer, hub: Hub):
    assert "has nothing to do; choose" in refusal(server, lelm="none")
    assert hub.requests == []
