"""Model files in a real ComfyUI: what the loaders offer, which file a choice means, and what they load."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import releases, songs
from support.comfy_server import ComfyServer, PromptRejected, Run
from support.sentences import assert_one_sentence

from levo.kinds import Kind

TINY = "tiny (built in, random weights: sounds like noise)"
DEMO = "demo (built in: small, sings nonsense)"
NONE_FOUND = "no file found (run this to see which one is needed)"
LOADERS = {Kind.LELM: "LeVoLoadLeLM", Kind.RENDERER: "LeVoLoadRenderer", Kind.VAE: "LeVoLoadVAE"}


@pytest.fixture
def models(server: ComfyServer) -> Iterator[Path]:
    """models/levo, which is as it was after the test."""
    yield from kept_as_it_is(server.base / "models" / "levo")


@pytest.fixture
def models_of_other_packs(server: ComfyServer) -> Iterator[Path]:
    """models/SongGeneration."""
    yield from kept_as_it_is(server.base / "models" / "SongGeneration")


def kept_as_it_is(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        if path.is_symlink() or path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path)


def choices(server: ComfyServer, kind: str) -> list[str]:
    node = LOADERS[kind]
    return server.get(f"/object_info/{node}")[node]["input"]["required"]["checkpoint"][1]["options"]


def labelled(name: str, file: Path) -> str:
    """What a combo should call a file."""
    size = file.stat().st_size
    return f"{name} ({size / 1e9:.1f} GB)" if size >= 1e9 else f"{name} ({size / 1e6:.0f} MB)"


def labels(folder: Path, layout: str, kind: str) -> list[str]:
    """What the combo for a kind should offer of a layout, in the order of the paths."""
    named = [(name, path) for path, name in sorted(releases.LAYOUTS[layout].items())]
    return [labelled(name, folder / path) for name, path in named if releases.PARTS[name][0] == kind]


def shown(server: ComfyServer, dtype: str = "auto", **chosen: str) -> Run:
    """Run loaders, each by the kind in small letters, and show what they give as text."""
    prompt: dict[str, Any] = {}
    for kind, choice in chosen.items():
        node = next(node for known, node in LOADERS.items() if known.lower() == kind)
        prompt[kind] = {"class_type": node, "inputs": {"checkpoint": choice, "dtype": dtype}}
        prompt[f"{kind} shown"] = {"class_type": "PreviewAny", "inputs": {"source": [kind, 0]}}
    return server.run(prompt)


def text_of(run: Run, kind: str) -> str:
    assert run.status == "success", run.error
    return run.outputs[f"{kind} shown"]["text"][0]


def sentence_of(run: Run) -> str:
    """The one sentence with which a loader stopped a run."""
    assert run.status == "error"
    assert run.error["exception_type"].endswith("CheckpointError")
    assert_one_sentence(run.error["exception_message"])
    return run.error["exception_message"].strip()


def refusal(server: ComfyServer, **chosen: str) -> str:
    """The one sentence with which ComfyUI refuses a choice before it runs anything."""
    with pytest.raises(PromptRejected) as rejected:
        shown(server, **chosen)
    assert rejected.value.status == 400
    (node,) = rejected.value.node_errors.values()
    (error,) = node["errors"]
    name, _, sentence = error["details"].partition(" - ")
    assert name == "checkpoint"
    assert_one_sentence(sentence)
    return sentence


# ------------------------------------------------------------------ what is offered


@pytest.mark.parametrize("linked", [False, True], ids=["copied", "linked in"])
@pytest.mark.parametrize("layout", releases.LAYOUTS)
def test_a_layout_is_offered_wherever_it_lies(
    server: ComfyServer, models: Path, tmp_path: Path, layout: str, linked: bool
):
    folder = releases.lay_out((tmp_path if linked else models) / "deep" / "SongGeneration", layout)
    if linked:
        (models / "linked").symlink_to(tmp_path)
    for kind in LOADERS:
        assert choices(server, kind) == [*labels(folder, layout, kind), DEMO]
    endings = {Path(name).suffix for name in server.get("/models/levo")}
    assert endings == {".ckpt", ".pt", ".pth", ".safetensors"}
    label = "septoken slim (3.8 GB)" if layout == "tencent" else "septoken full (4.8 GB)"
    assert choices(server, Kind.RENDERER)[0] == label


def test_what_other_packs_have_is_offered_too(server: ComfyServer, models_of_other_packs: Path):
    releases.lay_out(models_of_other_packs, "tencent")
    for kind in LOADERS:
        assert choices(server, kind) == [*labels(models_of_other_packs, "tencent", kind), DEMO]


def test_folders_of_extra_model_paths_are_searched(tmp_path: Path):
    folder = releases.lay_out(tmp_path / "elsewhere" / "weights", "eastmoe")
    config = tmp_path / "extra.yaml"
    config.write_text(f"mine:\n  base_path: {tmp_path / 'elsewhere'}\n  levo: weights\n")
    arguments = ("--extra-model-paths-config", str(config))
    with ComfyServer(tmp_path / "comfyui", arguments=arguments) as server:
        for kind in LOADERS:
            assert choices(server, kind) == [*labels(folder, "eastmoe", kind), DEMO]
        assert f" to {server.base / 'models' / 'levo'}/" in refusal(server, vae=NONE_FOUND)


def test_files_of_one_name_are_offered_with_their_places(server: ComfyServer, models: Path):
    for folder in ("first", "second/songgeneration_base_full"):
        file = releases.write_release(models / folder, "base-full")
    shutil.copy(file, file.with_name("new_model.pt"))
    assert choices(server, Kind.LELM) == [
        labelled("base-full in first/model.pt", file),
        labelled("base-full in second/songgeneration_base_full/model.pt", file),
        labelled("base-full in second/songgeneration_base_full/new_model.pt", file),
        DEMO,
    ]


# ------------------------------------------------------------------ nothing there, or something else


PUBLISHED = {
    Kind.LELM: ("lglg666/SongGeneration-v2-medium", "model.pt", "SongGeneration-v2-medium"),
    Kind.RENDERER: ("lglg666/SongGeneration-Runtime", "model_2.safetensors", "ckpt/model_septoken"),
    Kind.VAE: ("lglg666/SongGeneration-Runtime", "autoencoder_music_1320k.ckpt", "ckpt/vae"),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_without_files_the_first_choice_says_what_is_needed(server: ComfyServer, kind: str):
    assert "levo" in server.get("/models")
    assert server.get("/models/levo") == []
    assert choices(server, kind) == [NONE_FOUND, DEMO]
    sentence = refusal(server, **{kind.lower(): NONE_FOUND})
    repository, file, folder = PUBLISHED[kind]
    assert f"https://huggingface.co/{repository}" in sentence
    assert f" {file} " in sentence
    assert f"{server.base / 'models' / 'levo'}" in sentence and f"{folder} and press R." in sentence


def test_a_release_that_somebody_else_has_is_the_one_to_get(server: ComfyServer, models: Path):
    assert "lglg666/SongGeneration-large to " in refusal(server, lelm="large (20.5 GB)")


def test_an_unknown_name_is_answered_with_what_there_is(server: ComfyServer, models: Path):
    file = releases.write_release(models / "SongGeneration-large", "large")
    for choice in ("v9 (1.0 GB)", "gone/model.pt"):
        assert refusal(server, lelm=choice) == (
            f"There is no '{choice}' in {models}; choose another LeLM in LeVo Load LeLM: "
            f"{labelled('large', file)}."
        )


@pytest.mark.parametrize(
    ("kind", "file", "given", "needed"),
    [
        (
            Kind.RENDERER,
            "model_1rvq/model_2_fixed.safetensors",
            "1rvq tokenizer",
            "model_2.safetensors of ",
        ),
        (
            Kind.RENDERER,
            "vae/autoencoder_music_1320k.ckpt",
            "VAE",
            "model_2.safetensors of model_septoken.",
        ),
        (Kind.VAE, "songgeneration_large/model.pt", "LeLM", "autoencoder_music_1320k.ckpt."),
        (Kind.LELM, "vae/autoencoder_music_1320k.ckpt", "VAE", "model.pt of a SongGeneration release."),
    ],
)
def test_another_part_chosen_by_its_path_is_named(server, models, kind, file, given, needed):
    name = {path.removeprefix("ckpt/"): name for path, name in releases.LAYOUTS["tencent"].items()}[file]
    releases.PARTS[name][1](models / file)
    sentence = sentence_of(shown(server, **{kind.lower(): file}))
    assert sentence.startswith(f"{file}")
    assert f" is a {given}; " in sentence and needed in sentence


# ------------------------------------------------------------------ damaged files


DAMAGE = {
    "empty": (b"", "is empty; download it again."),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        "is a Git LFS pointer, not",
    ),
    "page": (b"<!DOCTYPE html><html></html>", "is a web page, not a model (a failed download);"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        (Kind.LELM, "release/model.pt"),
        (Kind.RENDERER, "ckpt/model_2.safetensors"),
        (Kind.VAE, "vae/autoencoder_music_1320k.ckpt"),
    ],
)
def test_a_damaged_file_is_offered_and_stops_the_run_with_a_sentence_that_names_it(
    server: ComfyServer, models: Path, kind: str, file: str, damage: str
):
    content, sentence = DAMAGE[damage]
    (models / file).parent.mkdir()
    (models / file).write_bytes(content)
    label, *others = choices(server, kind)
    assert (label, others) == (f"damaged {file} (0 MB)", [DEMO])
    assert sentence_of(shown(server, **{kind.lower(): label})).startswith(f"{file} {sentence}")


class Intruder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_file_with_code_in_it_is_refused_in_a_sentence_and_not_run(
    server: ComfyServer, models: Path, tmp_path: Path
):
    path = releases.write_release(models / "release", "v2-medium")
    torch.save({"weight": Intruder(tmp_path / "intruded")}, path)
    label, *_ = choices(server, Kind.LELM)
    assert label == "damaged release/model.pt (0 MB)"
    sentence = sentence_of(shown(server, lelm=label))
    assert not (tmp_path / "intruded").exists()
    assert sentence.startswith("release/model.pt ")
    assert "weights_only" not in sentence


def test_a_release_without_its_config_is_offered_and_says_what_is_missing(
    server: ComfyServer, models: Path
):
    path = releases.write_release(models / "songgeneration_base", "base")
    (path.parent / "config.yaml").unlink()
    assert choices(server, Kind.LELM) == [labelled("base", path), DEMO]
    assert sentence_of(shown(server, lelm="base")) == (
        f"{path.parent / 'config.yaml'} is missing; put it beside the weights it was published with."
    )


# ------------------------------------------------------------------ which file is meant


def test_a_file_may_be_chosen_by_its_own_name_if_that_tells(server: ComfyServer, models: Path):
    for folder in ("one", "other"):
        (models / folder).mkdir()
        (models / folder / "model.pt").write_bytes(b"")
        if folder == "one":
            assert sentence_of(shown(server, lelm="model.pt")).startswith("one/model.pt is empty")
    assert refusal(server, lelm="model.pt") == (
        f"There is no 'model.pt' in {models}; choose another LeLM in LeVo Load LeLM: "
        "damaged one/model.pt (0 MB), damaged other/model.pt (0 MB)."
    )
    (models / "model.pt").write_bytes(b"")
    assert sentence_of(shown(server, lelm="model.pt")).startswith("levo/model.pt is empty")


# ------------------------------------------------------------------ loading


def test_released_files_load_at_full_size(server: ComfyServer, models: Path):
    releases.lay_out(models / "SongGeneration", "tencent")
    renderer = "SongGeneration/ckpt/model_septoken/model_2.safetensors"
    chosen = {"lelm": "v2-medium", "renderer": renderer, "vae": "autoencoder_music_1320k (12.3 GB)"}
    try:
        run = shown(server, "bf16", **chosen)
        for kind, file in {
            "lelm": "SongGeneration/ckpt/songgeneration_v2_medium/model.pt",
            "renderer": renderer,
            "vae": "SongGeneration/ckpt/vae/autoencoder_music_1320k.ckpt",
        }.items():
            assert str(models / file) in text_of(run, kind)
        assert "version='v2', width=1536, inner=8960" in text_of(run, "lelm")
    finally:
        server.clear_cache()


def test_the_demo_models_sing_and_workflows_that_say_tiny_still_run(server: ComfyServer):
    short = {"max_seconds": 2}
    demo, _ = songs.make(
        server, compose=short, **{f"load{k.lower()}": {"checkpoint": DEMO} for k in LOADERS}
    )
    tiny, _ = songs.make(
        server, compose=short, **{f"load{k.lower()}": {"checkpoint": TINY} for k in LOADERS}
    )
    assert tiny.seconds == 2 and 1.5 < demo.seconds <= 2  # it ends a song whose score ends
    assert 0.02 < np.abs(demo.sound).max() < 1


def test_saved_models_make_the_song_of_those_they_were_saved_from(server: ComfyServer, models: Path):
    short = {"max_seconds": 2}
    original, _ = songs.make(server, compose=short)
    prompt: dict[str, Any] = {}
    for kind, node in LOADERS.items():
        prompt[kind] = {"class_type": node, "inputs": {"checkpoint": TINY, "dtype": "auto"}}
        inputs = {"model": [kind, 0], "name": f"saved/tiny {kind}", "dtype": "fp32"}
        prompt[f"save {kind}"] = {"class_type": "LeVoSaveCheckpoint", "inputs": inputs}
    run = server.run(prompt)
    assert run.status == "success", run.error
    for kind in LOADERS:
        file = models / "saved" / f"tiny {kind}.safetensors"
        assert choices(server, kind) == [labelled(f"tiny {kind}", file), DEMO]
    chosen = {f"load{kind.lower()}": {"checkpoint": f"tiny {kind}"} for kind in LOADERS}
    song, _ = songs.make(server, compose=short, **chosen)
    assert np.array_equal(song.sound, original.sound)
