"""Files that are checked, refused and written in a real ComfyUI: hashes, numbers, names and full disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.comfy_server import ComfyServer, Run
from support.node_texts import texts_of
from support.sentences import assert_one_sentence
from support.small_disk import fill, small_disk

from levo.files.tensor_file import inventory, read

TINY = "tiny (built in, random weights: sounds like noise)"
LOADERS = ["LeLM", "Renderer", "VAE"]


def saving(loader: str, name: str, checkpoint: str = TINY) -> dict[str, Any]:
    return {
        "load": {"class_type": f"LeVoLoad{loader}", "inputs": {"checkpoint": checkpoint, "dtype": "fp32"}},
        "save": {
            "class_type": "LeVoSaveCheckpoint",
            "inputs": {"model": ["load", 0], "name": name, "dtype": "as loaded"},
        },
    }


def saved(server: ComfyServer, loader: str, name: str) -> Path:
    run = server.run(saving(loader, name))
    assert run.status == "success", run.error
    return server.base / "models" / "levo" / f"{name}.safetensors"


def loading(loader: str, verify: bool | None = True, **chosen: str) -> dict[str, Any]:
    """A loader with what shows its output, so that it runs."""
    inputs = {**chosen, **({} if verify is None else {"verify": verify})}
    if loader in LOADERS:
        inputs["dtype"] = "auto"
    return {
        "1": {"class_type": f"LeVoLoad{loader}", "inputs": inputs},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def sentence_of(run: Run) -> str:
    assert run.status == "error", run.outputs
    assert_one_sentence(run.error["exception_message"])
    return run.error["exception_message"].strip()


def damaged(path: Path, number: float | None = None) -> None:
    """Change a number of a converted file; its header stays."""
    data = bytearray(path.read_bytes())
    data[-4:] = bytes(4) if number is None else torch.tensor([number]).numpy().tobytes()
    path.write_bytes(data)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_saved_file_is_checked_against_its_own_hash(server: ComfyServer, models: Path, loader: str):
    path = saved(server, loader, "mine")
    assert texts_of(server, loading(loader, checkpoint="mine"))[0] == (
        "levo/mine.safetensors was checked against the hash it was saved with: equal."
    )
    damaged(path)
    assert server.run(loading(loader, verify=None, checkpoint="mine")).status == "success"
    assert server.run(loading(loader, verify=False, checkpoint="mine")).status == "success"
    sentence = sentence_of(server.run(loading(loader, checkpoint="mine")))
    assert sentence.startswith("levo/mine.safetensors is not as recorded (its sha256 is ")
    assert sentence.endswith("; download or make it again, or turn verify off.")


@pytest.mark.parametrize("loader", ["LeLM", "Renderer", "VAE", "Separator", "StyleEncoder"])
def test_the_tiny_set_has_no_hash(server: ComfyServer, loader: str):
    names = ("septoken", "one_rvq") if loader == "StyleEncoder" else ("checkpoint",)
    texts = texts_of(server, loading(loader, **dict.fromkeys(names, TINY)))
    assert texts == ["Not checked: no hash is recorded for random weights, which are built in."]


def test_a_file_of_an_earlier_version_loads_and_says_that_it_was_not_checked(server, models):
    path = saved(server, "VAE", "mine")
    metadata = inventory(path).metadata
    del metadata["levo.sha256"]
    save_file({name: tensor.clone() for name, tensor in read(path).items()}, path, metadata)
    texts = texts_of(server, loading("VAE", checkpoint="mine"))
    assert texts == ["Not checked: no hash is recorded for levo/mine.safetensors."]


def test_a_prompt_that_is_run_again_loads_nothing_again(server: ComfyServer):
    """In another workflow the node has another number."""
    one = server.run(loading("VAE", verify=None, checkpoint=TINY))
    prompt = loading("VAE", verify=None, checkpoint=TINY)
    again = server.run({"7": prompt["1"], "8": {**prompt["2"], "inputs": {"source": ["7", 0]}}})
    assert one.status == again.status == "success"
    assert "7" in again.cached


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("loader", LOADERS)
def test_a_weight_that_is_no_number_is_told(server: ComfyServer, models: Path, loader: str, number: float):
    name = f"with {number}"  # its own, as ComfyUI writes nothing again that it has written
    damaged(saved(server, loader, name), number)
    sentence = sentence_of(server.run(loading(loader, verify=None, checkpoint=name)))
    assert sentence.startswith(f"levo/{name}.safetensors: ")
    assert " holds numbers that are none (NaN or Inf), so the file is damaged; download " in sentence


@pytest.mark.parametrize("name", ["a\0b", "\ud83d", "x" * 300, "雪" * 90, "a/" * 1000 + "b", "../x", ""])
@pytest.mark.parametrize("node", ["checkpoint", "style"])
def test_a_name_that_cannot_be_is_refused_and_nothing_is_made(server, models, node, name):
    if node == "checkpoint":
        prompt, what = saving("VAE", name), "LeVo Save Checkpoint"
    else:
        prompt, what = style_saving(name), "LeVo Save Style"
    assert sentence_of(server.run(prompt)).startswith(f"{what} cannot use the name '")
    assert [path.name for path in models.rglob("*") if path.name != "styles"] == []


def style_saving(name: str) -> dict[str, Any]:
    tiny = "tiny (built in, random codes: stands for no style)"
    inputs = {"style": tiny, "language": "auto", "seed": 0}
    return {
        "style": {"class_type": "LeVoStyleFromLibrary", "inputs": inputs},
        "save": {"class_type": "LeVoSaveStyle", "inputs": {"style": ["style", 0], "name": name}},
    }


def test_a_full_disk_is_one_sentence_and_nothing_stays(server: ComfyServer, models: Path):
    with small_disk(models / "styles") as disk:
        fill(disk, 0)
        sentence = sentence_of(server.run(style_saving("a/b")))
        assert sentence.startswith(f"{disk}/a/b.safetensors cannot be written (No space left on device): ")
        assert sentence.endswith(" kB are needed and 0.0 kB are free; make room.")
        sentence = sentence_of(server.run(saving("VAE", "styles/c")))
        assert (
            "(No space left on device): 10" in sentence and "MB are needed and 0.0 kB are free" in sentence
        )
        assert [path.name for path in disk.iterdir()] == ["filler"]
