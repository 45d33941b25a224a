"""Damaged downloads are told apart before anything is loaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from levo import kinds, tiny
from levo.files import released, tensor_file
from levo.files.damage import find_damage
from levo.files.tensor_file import CheckpointError
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
WHOLE = {"a": torch.arange(1_000.0), "b": torch.ones(2, 3)}


def saved(folder: Path, suffix: str) -> Path:
    path = folder / f"model{suffix}"
    if suffix == ".safetensors":
        save_file(WHOLE, path)
    else:
        torch.save(WHOLE, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".ckpt"])
def test_a_whole_file_is_read(tmp_path: Path, suffix: str):
    path = saved(tmp_path, suffix)
    assert find_damage(path) is None
    assert torch.equal(tensor_file.read(path)["a"], WHOLE["a"])


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; download it again."),
        (POINTER, "is a Git LFS pointer, not the file it stands for; run git lfs pull"),
        (b"\n<!DOCTYPE html><html>429</html>", "is a web page, not a model"),
        (b"<html>Not found</html>", "is a web page, not a model"),
        (b"Entry not found", "download it again."),
    ],
)
def test_what_is_no_checkpoint_is_said(tmp_path: Path, suffix: str, content: bytes, sentence: str):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refusal:
        tensor_file.read(path)
    assert str(refusal.value).startswith(f"{tmp_path.name}/{path.name} is ")
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_cut_anywhere_is_said_to_be_cut(tmp_path: Path, suffix: str):
    path = saved(tmp_path, suffix)
    content = path.read_bytes()
    for kept in (9, 60, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(CheckpointError, match=r"was cut off in the download"):
            tensor_file.read(path)


@pytest.mark.parametrize("header", [b"[1, 2]  ", b'{"a": 5} ', b'{"a": {}}', b"not json "])
def test_a_header_of_nonsense_is_broken(tmp_path: Path, header: bytes):
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert find_damage(path) == f"{tmp_path.name}/model.safetensors has a broken header; download it again."


MODELS = {
    "LeLM": (partial(LeLM, tiny.LELM), released.lelm_layout(tiny.LELM)),
    "renderer": (partial(Renderer, tiny.RENDERER), released.renderer_layout(tiny.RENDERER)),
    "VAE": (partial(Vae, tiny.VAE), released.vae_layout(tiny.VAE)),
}


@pytest.mark.parametrize("needed", MODELS)
@pytest.mark.parametrize("chosen", [*MODELS, "1rvq tokenizer", "HTDemucs separator"])
def test_another_kind_of_file_is_named(needed: str, chosen: str):
    build, layout = MODELS[needed]
    names = {
        "1rvq tokenizer": ["rvq_bestrq_emb.quantizers.0.codebook.weight", "bestrq.model.cls_token"],
        "HTDemucs separator": ["crosstransformer.norm_in.weight", "encoder.0.conv.weight"],
    }
    if chosen in MODELS:
        names[chosen] = [name for source in MODELS[chosen][1].sources.values() for name in source.names]
    assert released.kind_of(names[chosen]) == chosen
    if needed == chosen:
        return
    with pytest.raises(CheckpointError) as refusal:
        released.check({name: torch.zeros(1) for name in names[chosen]}, layout, build(device="meta"))
    assert (
        str(refusal.value)
        == f"This file is a {chosen}; the {needed} needs {kinds.MODELS[layout.kind].file}."
    )
