"""Odd files in the folders of a real ComfyUI: all nodes stay, and who chooses one reads one sentence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support import libraries, odd_files, releases, songs
from support.comfy_server import ComfyServer, PromptRejected
from support.pack_nodes import NODES
from support.sentences import assert_one_sentence

from levo.kinds import Kind

TINY = "tiny (built in, random weights: sounds like noise)"
DEMO = "demo (built in: small, sings nonsense)"
NONE_FOUND = "no file found (run this to see which one is needed)"
LOADERS = {
    Kind.LELM: ("LeVoLoadLeLM", "checkpoint"),
    Kind.RENDERER: ("LeVoLoadRenderer", "checkpoint"),
    Kind.VAE: ("LeVoLoadVAE", "checkpoint"),
    Kind.SEPARATOR: ("LeVoLoadSeparator", "checkpoint"),
    Kind.STYLE: ("LeVoStyleFromLibrary", "style"),
    Kind.SONG_TOKENS: ("LeVoLoadTokens", "file"),
}
OTHERS = {"dtype": "auto", "language": "en", "seed": 1}


@pytest.fixture
def models(server: ComfyServer) -> Iterator[Path]:
    """models/levo, empty before and after."""
    yield from emptied(server.base / "models" / "levo")


@pytest.fixture
def songs_in(server: ComfyServer) -> Iterator[Path]:
    """A folder in the input folder."""
    yield from emptied(server.base / "input" / "odd")


def emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)
    folder.mkdir()


def choices(server: ComfyServer, kind: Kind) -> list[str]:
    node, name = LOADERS[kind]
    return server.get(f"/object_info/{node}")[node]["input"]["required"][name][1]["options"]


def sentence(server: ComfyServer, kind: Kind, choice: Any) -> str:
    """The one sentence with which a node refuses a choice, before or while it runs."""
    node, name = LOADERS[kind]
    needed = server.get(f"/object_info/{node}")[node]["input"]["required"]
    inputs = {name: choice} | {other: value for other, value in OTHERS.items() if other in needed}
    prompt = {
        "load": {"class_type": node, "inputs": inputs},
        "shown": {"class_type": "PreviewAny", "inputs": {"source": ["load", 0]}},
    }
    try:
        run = server.run(prompt)
    except PromptRejected as rejected:
        ((error,),) = [found["errors"] for found in rejected.node_errors.values()]
        text = error["details"].partition(" - ")[2] or error["details"]
    else:
        assert run.status == "error", f"{choice!r} was used"
        text = run.error["exception_message"]
    assert_one_sentence(text)
    return text.strip()


def fill(folder: Path) -> None:
    """Every odd file that there is, and a release with every odd config."""
    for name, write in odd_files.SAFETENSORS.items():
        write(folder / f"{name}.safetensors")
    for name, write in odd_files.PICKLES.items():
        write(folder / f"{name}.pt")
    (folder / odd_files.BAD_NAME).write_bytes(odd_files.entry())
    for number in range(3):
        (folder / f"back {number}").symlink_to(folder)


def test_all_nodes_are_there_whatever_lies_in_the_folders(
    server: ComfyServer, models: Path, songs_in: Path
):
    fill(models)
    fill(songs_in)
    for number, text in enumerate(odd_files.CONFIGS.values()):
        path = releases.write_release(models / f"release {number}", "base")
        (path.parent / "config.yaml").write_text(text)
    os.mkfifo(songs_in / "config.yaml")
    nodes = server.get("/object_info")
    assert set(NODES) <= nodes.keys()
    offered = choices(server, Kind.LELM)
    assert len([label for label in offered if label.startswith("release ")]) == len(odd_files.CONFIGS)
    assert not [song for song in choices(server, Kind.SONG_TOKENS) if song.startswith("odd/")]
    for _ in range(2):
        server.get("/object_info")
    log = server.log()
    for name in ("nothing", "a header nested 100,000 deep", "a pickle that inflates"):
        assert log.count(f"LeVo cannot use a file: levo/{name}.") == 1


@pytest.mark.parametrize("odd", ["nothing", "a header nested 100,000 deep", "a pipe", "a link to nowhere"])
def test_an_odd_file_that_a_workflow_names_is_named(server: ComfyServer, models: Path, odd: str):
    odd_files.SAFETENSORS[odd](models / "my-vae.safetensors")
    assert choices(server, Kind.VAE) == [NONE_FOUND, DEMO]
    for choice in ("my-vae.safetensors", "my-vae (675 MB)", "my-vae"):
        text = sentence(server, Kind.VAE, choice)
        assert "levo/my-vae.safetensors " in text and "There is no" not in text
    text = sentence(server, Kind.VAE, NONE_FOUND)
    assert text.startswith("There is no VAE file that can be read (levo/my-vae.safetensors ")


def save_tiny(server: ComfyServer, kind: Kind, name: str) -> Path:
    node, _ = LOADERS[kind]
    run = server.run(
        {
            "load": {"class_type": node, "inputs": {"checkpoint": TINY, "dtype": "auto"}},
            "save": {
                "class_type": "LeVoSaveCheckpoint",
                "inputs": {"model": ["load", 0], "name": name, "dtype": "fp32"},
            },
        }
    )
    assert run.status == "success", run.error
    return server.base / "models" / "levo" / f"{name}.safetensors"


@pytest.mark.parametrize("kind", [Kind.LELM, Kind.RENDERER, Kind.VAE])
def test_a_cut_file_of_ours_is_offered_where_it_belongs_and_named(
    server: ComfyServer, models: Path, kind: Kind
):
    path = save_tiny(server, kind, "mine/my-model")
    (label, _) = choices(server, kind)
    os.truncate(path, path.stat().st_size // 2)
    for other in (Kind.LELM, Kind.RENDERER, Kind.VAE):
        offered = [choice for choice in choices(server, other) if choice.startswith("damaged ")]
        assert bool(offered) == (other == kind)
    (damaged, *_) = choices(server, kind)
    assert damaged.startswith("damaged mine/my-model.safetensors (")
    assert sentence(server, kind, damaged).startswith(
        "mine/my-model.safetensors was cut off in the download"
    )
    for choice in (label, "my-model"):
        assert sentence(server, kind, choice).startswith(
            "mine/my-model.safetensors is there and was cut off in the download: "
        )


def test_a_cut_release_under_another_name_is_offered_and_named(server: ComfyServer, models: Path):
    path = releases.write(models / "v2-medium.pt", releases.lelm("v2-medium"))
    os.truncate(path, path.stat().st_size // 2)
    (damaged, built_in) = choices(server, Kind.LELM)
    assert damaged == "damaged levo/v2-medium.pt (0 MB)" and built_in == DEMO
    for choice in (damaged, "v2-medium.pt"):
        assert "levo/v2-medium.pt was cut off" in sentence(server, Kind.LELM, choice)


def test_damaged_files_come_behind_those_that_are_whole(server: ComfyServer, models: Path):
    whole = save_tiny(server, Kind.VAE, "z")
    shutil.copy(whole, models / "a.safetensors")
    os.truncate(models / "a.safetensors", whole.stat().st_size - 1)
    assert [choice.split(" (")[0] for choice in choices(server, Kind.VAE)] == [
        "z",
        "damaged levo/a.safetensors",
        "demo",
    ]


def test_a_cut_style_and_a_cut_library_are_named(server: ComfyServer, models: Path):
    run = server.run(
        {
            "pick": {
                "class_type": "LeVoStyleFromLibrary",
                "inputs": {
                    "style": "tiny (built in, random codes: stands for no style)",
                    "language": "en",
                    "seed": 1,
                },
            },
            "save": {"class_type": "LeVoSaveStyle", "inputs": {"style": ["pick", 0], "name": "mine"}},
        }
    )
    assert run.status == "success", run.error
    os.truncate(models / "styles" / "mine.safetensors", 900)
    (models / "styles" / "other.safetensors").write_bytes(
        (models / "styles" / "mine.safetensors").read_bytes()[:90]
    )
    text = sentence(server, Kind.STYLE, "other (saved style)")
    assert text.startswith("styles/other.safetensors is there and was cut off")
    library = libraries.write(models / "prompts.pt", libraries.unspoken())
    os.truncate(library, library.stat().st_size // 2)
    assert choices(server, Kind.STYLE)[0] == "damaged styles/mine.safetensors (saved style)"
    for choice in ("mine (saved style)", "damaged styles/mine.safetensors (saved style)"):
        assert "styles/mine.safetensors " in sentence(server, Kind.STYLE, choice)
        assert "was cut off" in sentence(server, Kind.STYLE, choice)
    text = sentence(server, Kind.STYLE, "Pop (prompts)")
    assert text.startswith("levo/prompts.pt is there and was cut off")


IMPOSSIBLE = [
    "a\0b",
    "\ud800",
    "x" * 300,
    "d/" * 1_000 + "x.safetensors",
    "../" * 50 + "etc/passwd",
    "",
    " ",
    "a\nb",
    5,
    True,
    {"a": 1},
]


@pytest.mark.parametrize("kind", [Kind.VAE, Kind.STYLE, Kind.SONG_TOKENS])
def test_names_that_no_file_can_have_are_refused_in_one_sentence(
    server: ComfyServer, models: Path, kind: Kind
):
    for name in IMPOSSIBLE:
        assert len(sentence(server, kind, name)) < 1_000


def test_a_config_that_asks_for_too_much_never_builds(server: ComfyServer, models: Path):
    path = releases.write_release(models / "mine", "base")
    config = path.parent / "config.yaml"
    text = config.read_text()
    for old, new in (("dim: 1536", "dim: 100000"), ("num_layers: 28", "num_layers: 1000000")):
        config.write_text(text.replace(old, new))
        assert f"{new.replace(': ', ' is ')}, not a whole number" in sentence(
            server, Kind.LELM, "mine/model.pt"
        )
    config.write_text(text.replace("dim: 1536", "dim: 15360"))
    assert "its config says 15,360 for width, and its weights have 1,536" in sentence(
        server, Kind.LELM, "mine/model.pt"
    )


def test_a_song_beside_odd_files_is_offered(server: ComfyServer, songs_in: Path):
    fill(songs_in)
    asked = songs.song_prompt(compose={"max_seconds": 1})
    asked["save"] = {
        "class_type": "LeVoSaveTokens",
        "inputs": {"tokens": [songs.COMPOSE, 0], "filename_prefix": "odd/song"},
    }
    run = server.run(asked)
    assert run.status == "success", run.error
    (song,) = (server.base / "output" / "odd").glob("*.safetensors")
    shutil.copy(song, songs_in / "song.safetensors")
    assert choices(server, Kind.SONG_TOKENS)[:2] == ["odd/song.safetensors", f"odd/{song.name} [output]"]


def test_codes_of_any_kind_of_number_are_a_style_or_refused(server: ComfyServer, models: Path):
    for dtype in (torch.uint16, torch.uint64, torch.float64, torch.bool):
        libraries.write(models / "a.pt", {"Pop": [libraries.entry(1).to(dtype)]})
        if dtype in (torch.float64, torch.bool):
            assert "holds numbers that are no codes" in sentence(server, Kind.STYLE, "Pop (a)")
    save_file(
        {"codes": torch.zeros(3, 250)}, models / "b.safetensors", {"levo.part": "style", "levo.format": "1"}
    )
    assert "has no codes of 10 s" in sentence(server, Kind.STYLE, "b (saved style)")
