"""GGUF and MLX files in a real ComfyUI: offered, loaded, sung with, saved, refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import gguf_models, mlx_models, songs, style_songs
from support.comfy_server import ComfyServer, PromptRejected, Run
from support.sentences import assert_one_sentence

from levo.files.checkpoint import open_checkpoint

LOADERS = {"loadlelm": "LeVoLoadLeLM", "loadrenderer": "LeVoLoadRenderer", "loadvae": "LeVoLoadVAE"}
SHORT = {"max_seconds": 4}


def choices(server: ComfyServer, node: str) -> list[str]:
    return server.get(f"/object_info/{node}")[node]["input"]["required"]["checkpoint"][1]["options"]


def chosen(server: ComfyServer, **words: str) -> dict[str, dict[str, Any]]:
    """Changes of a prompt: for each loader the choice that has a word in it, in fp32."""
    found = {
        loader: next(choice for choice in choices(server, LOADERS[loader]) if word in choice)
        for loader, word in words.items()
    }
    return {loader: {"checkpoint": choice, "dtype": "fp32"} for loader, choice in found.items()}


def write_all(folder: Path, kinds: tuple[str, str, str]) -> None:
    """A LeLM, a flow and a VAE, in types."""
    lelm, flow, vae = kinds
    gguf_models.write_lelm(folder / "my-lelm.gguf", lelm)
    gguf_models.write_flow(folder / "deep" / "b.gguf", flow)
    gguf_models.write_vae(folder / "c.gguf", vae)


@pytest.mark.parametrize("kinds", [("Q8_0", "Q6_K", "F16"), ("Q4_K_M", "Q8_0", "F32")])
def test_gguf_files_are_offered_with_type_and_size_and_sing(
    server: ComfyServer, models: Path, kinds: tuple[str, str, str]
):
    write_all(models, kinds)
    files = {"loadlelm": "my-lelm.gguf", "loadrenderer": "deep/b.gguf", "loadvae": "c.gguf"}
    names = {"loadlelm": "my-lelm", "loadrenderer": "flow", "loadvae": "VAE decoder"}
    for (loader, name), kind in zip(names.items(), kinds, strict=True):
        size = (models / files[loader]).stat().st_size
        assert choices(server, LOADERS[loader])[0] == f"{name} {kind} ({size / 1e6:.0f} MB)"
    words = dict(
        zip(
            names, (f"{name} {kind}" for name, kind in zip(names.values(), kinds, strict=True)), strict=True
        )
    )
    song, _ = songs.make(server, **chosen(server, **words), compose=SHORT)
    assert song.seconds == 4 and np.isfinite(song.sound).all() and np.abs(song.sound).max() > 1e-4


def test_a_gguf_sings_the_song_of_the_file_that_is_saved_of_it(server: ComfyServer, models: Path):
    write_all(models, ("Q8_0", "Q6_K", "F16"))
    gguf_files = chosen(server, loadlelm="my-lelm Q8_0", loadrenderer="flow", loadvae="VAE")
    prompt = songs.song_prompt(**gguf_files, compose=SHORT)
    loaders = [node for node, entry in prompt.items() if entry["class_type"] in LOADERS.values()]
    for node in loaders:
        inputs = {"model": [node, 0], "name": f"saved/{node}", "dtype": "as loaded"}
        prompt[f"save {node}"] = {"class_type": "LeVoSaveCheckpoint", "inputs": inputs}
    run = server.run(prompt)
    assert run.status == "success", run.error
    first = songs.song_of(server, run)
    saved = dict(zip(LOADERS, loaders, strict=True))
    again, _ = songs.make(
        server, **chosen(server, **{k: f"{n} (" for k, n in saved.items()}), compose=SHORT
    )
    assert np.array_equal(first.sound, again.sound)
    vae = open_checkpoint(models / "saved" / f"{saved['loadvae']}.safetensors")
    assert not vae.encodes and vae.provenance and vae.provenance.source == "levo/c.gguf"


@pytest.mark.parametrize("dtype", ["int8", "int4", "fp8_e4m3fn", "auto"])
def test_a_gguf_is_loaded_in_any_format(server: ComfyServer, models: Path, dtype: str):
    gguf_models.write_lelm(models / "my-lelm.gguf", "Q8_0")
    change = chosen(server, loadlelm="my-lelm")["loadlelm"] | {"dtype": dtype}
    song, _ = songs.make(server, loadlelm=change, compose=SHORT)
    assert song.seconds == 4


def test_a_song_does_not_go_on_from_a_clip_with_a_decoder_alone(server: ComfyServer, models: Path):
    gguf_models.write_vae(models / "c.gguf", "F16")
    style_songs.write_clip(server)
    run = server.run(style_songs.style_prompt(**chosen(server, loadvae="VAE decoder")))
    sentence = error_of(run)
    assert sentence.startswith("LeVo Render cannot go on from the sound of this style: levo/c.gguf holds ")
    assert "autoencoder_music_1320k.ckpt" in sentence and "LeVo Load VAE" in sentence


def test_cut_and_foreign_gguf_files_are_told(server: ComfyServer, models: Path):
    whole = gguf_models.write_vae(models / "c.gguf", "F16").path.read_bytes()
    label = choices(server, "LeVoLoadVAE")[0]
    (models / "c.gguf").write_bytes(whole[: len(whole) // 2])
    (models / "levo-of-others.gguf").write_bytes(b"GGUF" + b"\3\0\0\0" + b"\0" * 16)
    for node in LOADERS.values():
        assert choices(server, node)  # no list is lost
    assert choices(server, "LeVoLoadVAE")[0].startswith("damaged levo/c.gguf (")
    for choice in (label, choices(server, "LeVoLoadVAE")[0]):
        sentence = refusal_of(server, "LeVoLoadVAE", choice)
        assert "levo/c.gguf " in sentence and "was cut off in the download" in sentence
    sentence = refusal_of(server, "LeVoLoadVAE", "levo-of-others.gguf")
    assert "is a GGUF file of an unnamed model" in sentence


@pytest.mark.parametrize("kind", ["4-bit", "bf16"])
def test_an_mlx_folder_is_offered_once_and_sings(server: ComfyServer, models: Path, kind: str):
    folder = mlx_models.write(models / "my-mlx", kind).path.parent
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    label = f"my-mlx MLX {kind} ({size / 1e6:.0f} MB)"
    assert [choice for choice in choices(server, "LeVoLoadLeLM") if "demo" not in choice] == [label]
    song, _ = songs.make(server, loadlelm={"checkpoint": label, "dtype": "fp32"}, compose=SHORT)
    assert song.seconds == 4 and np.isfinite(song.sound).all()
    sorted(folder.glob("*.safetensors"))[0].unlink()
    assert choices(server, "LeVoLoadLeLM")[0].startswith("damaged my-mlx/model.safetensors.index.json (")
    sentence = refusal_of(server, "LeVoLoadLeLM", label)
    assert sentence.startswith("my-mlx/model.safetensors.index.json is there and names 'model-00001-of-")


def error_of(run: Run) -> str:
    assert run.status == "error"
    sentence = run.error["exception_message"].strip()
    assert_one_sentence(sentence)
    return sentence


def refusal_of(server: ComfyServer, node: str, choice: str) -> str:
    """The sentence with which a loader refuses a choice, before it runs or when it does."""
    load = {"class_type": node, "inputs": {"checkpoint": choice, "dtype": "auto"}}
    show = {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}
    try:
        return error_of(server.run({"1": load, "2": show}))
    except PromptRejected as rejected:
        details = [error["details"] for node in rejected.node_errors.values() for error in node["errors"]]
        sentence = details[0].partition(" - ")[2]
        assert_one_sentence(sentence)
        return sentence
