"""Songs kept as tokens in a real ComfyUI: saved, offered, loaded, rendered again; and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from safetensors.torch import save_file
from support import pack, songs
from support.comfy_server import ComfyServer, PromptRejected, Run
from support.sentences import assert_one_sentence
from support.workflow import to_prompt
from torch import zeros

EXAMPLE = pack.ROOT / "example_workflows" / "LeVo Re-render Saved Tokens.json"
COMPOSED = {"seed": 11, "max_seconds": 2, "takes": 2}
RENDERED = {"steps": 2}
SAVED, LOAD = "save_tokens", "load_tokens"


def saving_prompt(prefix: str = "tokens/test") -> dict[str, Any]:
    prompt = songs.song_prompt(compose=COMPOSED, render=RENDERED)
    inputs = {"tokens": [songs.COMPOSE, 0], "filename_prefix": prefix}
    return prompt | {SAVED: {"class_type": "LeVoSaveTokens", "inputs": inputs}}


def loading_prompt(file: str) -> dict[str, Any]:
    """The saving prompt with its tokens from a file, and nothing left that composes."""
    prompt = songs.song_prompt(render=RENDERED | {"tokens": [LOAD, 0]})
    for node in ("1", songs.LYRICS, songs.DESCRIPTION, songs.CONDITIONING, songs.COMPOSE):
        del prompt[node]
    for node, output in ((songs.ENDED, 2), (songs.SECONDS, 3)):
        prompt[node]["inputs"]["source"] = [LOAD, output]
    return prompt | {LOAD: {"class_type": "LeVoLoadTokens", "inputs": {"file": file}}}


def run_of(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt)
    assert run.status == "success", run.error
    return run


def sounds(server: ComfyServer, run: Run) -> list[np.ndarray]:
    return [songs.sound_of_entry(server, entry)[0] for entry in run.outputs[songs.SAVE]["audio"]]


@pytest.fixture(scope="module")
def saved(server: ComfyServer) -> Run:
    return run_of(server, saving_prompt())


@pytest.fixture(scope="module")
def file(server: ComfyServer, saved: Run) -> Path:
    """The file that was saved."""
    (entry,) = saved.outputs[SAVED]["tokens"]
    return server.output_file(entry)


def test_tokens_loaded_from_the_output_folder_sound_as_they_did(
    server: ComfyServer, saved: Run, file: Path
):
    assert file == server.base / "output" / "tokens" / "test_00001_.safetensors"
    server.clear_cache()
    run = run_of(server, loading_prompt("tokens/test_00001_.safetensors [output]"))
    before, after = sounds(server, saved), sounds(server, run)
    assert len(after) == COMPOSED["takes"]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    for node in (songs.ENDED, songs.SECONDS):
        assert run.outputs[node] == saved.outputs[node]


def test_a_second_song_gets_the_next_number_and_is_offered_first(server: ComfyServer, file: Path):
    prompt = saving_prompt()
    prompt[songs.COMPOSE]["inputs"]["seed"] = 12
    (entry,) = run_of(server, prompt).outputs[SAVED]["tokens"]
    assert entry["filename"] > file.name
    offered = server.get("/object_info/LeVoLoadTokens")["LeVoLoadTokens"]["input"]["required"]["file"]
    names = offered[1]["options"]
    assert names[0] == f"tokens/{entry['filename']} [output]"
    assert "tokens/test_00001_.safetensors [output]" in names


def test_a_song_uploaded_as_the_editor_does_is_loaded_from_the_input_folder(
    server: ComfyServer, file: Path
):
    with file.open("rb") as content:
        files = {"image": ("mine.safetensors", content)}
        reply = requests.post(f"{server.url}/upload/image", files=files, timeout=30)
    assert reply.json() == {"name": "mine.safetensors", "subfolder": "", "type": "input"}
    run_of(server, loading_prompt("mine.safetensors"))


def test_another_song_under_the_same_name_is_loaded_anew(server: ComfyServer, file: Path):
    copy = server.base / "input" / "changing.safetensors"
    shutil.copy(file, copy)
    prompt = loading_prompt(copy.name)
    run_of(server, prompt)
    assert LOAD in run_of(server, prompt).cached
    shutil.copy(file, copy)  # a younger file
    assert LOAD not in run_of(server, prompt).cached


def test_the_request_of_a_loaded_song_composes_the_same_song_again(server: ComfyServer, saved: Run):
    prompt = songs.song_prompt(compose=COMPOSED | {"conditioning": [LOAD, 1]}, render=RENDERED)
    for node in (songs.LYRICS, songs.DESCRIPTION, songs.CONDITIONING):
        del prompt[node]
    inputs = {"file": "tokens/test_00001_.safetensors [output]"}
    run = run_of(server, prompt | {LOAD: {"class_type": "LeVoLoadTokens", "inputs": inputs}})
    before, after = sounds(server, saved), sounds(server, run)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_example_workflow_renders_a_saved_song_again(
    server: ComfyServer, file: Path, object_info: dict[str, Any]
):
    prompt = to_prompt(json.loads(EXAMPLE.read_text("utf-8")), object_info)
    nodes = {entry["class_type"]: node for node, entry in prompt.items()}
    load = prompt[nodes["LeVoLoadTokens"]]["inputs"]
    with pytest.raises(PromptRejected, match="LeVo Load Tokens has no song"):
        server.run(prompt)
    load["file"] = "tokens/test_00001_.safetensors [output]"
    prompt[nodes["LeVoRender"]]["inputs"] |= RENDERED
    run = run_of(server, prompt)
    takes = [songs.sound_of_entry(server, e)[0] for e in run.outputs[nodes["LeVoExport"]]["audio"]]
    assert [len(take) for take in takes] == [2 * songs.SAMPLE_RATE] * COMPOSED["takes"]
    assert all(np.abs(take[-10:]).max() < 1e-3 for take in takes)  # both were cut, and fade


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("tokens/CON/a", "tokens/_CON/a_00001_.safetensors"),
        ("tokens/a:b?", "tokens/a_b__00001_.safetensors"),
        ("tokens/trailing./ LPT³ .x", "tokens/trailing/ LPT³ .x_00001_.safetensors"),
        ("tokens/" + "海" * 300, f"tokens/{'海' * 71}_00001_.safetensors"),
        ("tokens/half \ud83d", "tokens/half __00001_.safetensors"),
        ("tokens/odd\0", "tokens/odd__00001_.safetensors"),
        ("tokens/गीत", "tokens/गीत_00001_.safetensors"),
    ],
)
def test_a_name_that_some_system_cannot_have_is_made_safe(
    server: ComfyServer, saved: Run, prefix: str, name: str
):
    (entry,) = run_of(server, saving_prompt(prefix)).outputs[SAVED]["tokens"]
    assert f"{entry['subfolder']}/{entry['filename']}" == name
    run_of(server, loading_prompt(f"{name} [output]"))


def test_a_prefix_that_no_disk_takes_is_one_sentence(server: ComfyServer, saved: Run):
    run = server.run(saving_prompt("tokens/" + "deep/" * 2_000 + "a"))
    assert "cannot use the filename_prefix" in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "name",
    [
        "missing.safetensors",
        "../models/x.safetensors",
        "/etc/passwd",
        "../user/comfyui.db [output]",
        " [input]",
    ],
)
def test_a_file_that_is_not_in_comfyuis_folders_is_refused_before_anything_runs(
    server: ComfyServer, name: str
):
    (server.base / "models" / "x.safetensors").touch()
    with pytest.raises(PromptRejected) as refusal:
        server.run(loading_prompt(name))
    ((reason,),) = (error["errors"] for error in refusal.value.node_errors.values())
    assert reason["extra_info"]["input_name"] == "file"
    assert "LeVo Load Tokens found no file" in reason["details"]


def test_a_damaged_or_foreign_file_stops_the_run_with_one_sentence(server: ComfyServer, file: Path):
    folder = server.base / "input"
    (folder / "cut.safetensors").write_bytes(file.read_bytes()[:-20])
    save_file({"weight": zeros(2)}, folder / "foreign.safetensors")
    for name, sentence in (("cut", "cut.safetensors is damaged"), ("foreign", "holds no song")):
        run = server.run(loading_prompt(f"{name}.safetensors"))
        assert run.status == "error"
        assert sentence in run.error["exception_message"]
        assert_one_sentence(run.error["exception_message"])
    offered = server.get("/object_info/LeVoLoadTokens")["LeVoLoadTokens"]["input"]["required"]["file"]
    assert not {"cut.safetensors", "foreign.safetensors"} & set(offered[1]["options"])


@pytest.mark.parametrize("prefix", ["", ".", "../out", "/tmp/levo", "a/../../b"])
def test_a_prefix_that_leads_out_of_the_output_folder_is_refused(server: ComfyServer, prefix: str):
    run = server.run(saving_prompt(prefix))
    assert run.status == "error"
    assert "LeVo Save Tokens cannot use the filename_prefix" in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])
