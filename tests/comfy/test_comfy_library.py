"""Styles from libraries in a real ComfyUI: what is offered, what is drawn, and one's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import libraries, songs
from support.comfy_server import ComfyServer, PromptRejected, Run
from support.sentences import assert_one_sentence

TINY = "tiny (built in, random codes: stands for no style)"
NONE_FOUND = "no file found (run this to see which one is needed)"
NODE = "LeVoStyleFromLibrary"


@pytest.fixture
def models(server: ComfyServer) -> Iterator[Path]:
    """models/levo, empty before and after."""
    folder = server.base / "models" / "levo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)
    folder.mkdir()


def choices(server: ComfyServer) -> list[str]:
    return server.get(f"/object_info/{NODE}")[NODE]["input"]["required"]["style"][1]["options"]


def prompt(style: str, seed: int = 1, language: str = "en", **saved: str) -> dict[str, Any]:
    """Pick a style, show it, and save it where a name is given."""
    nodes: dict[str, Any] = {
        "pick": {"class_type": NODE, "inputs": {"style": style, "language": language, "seed": seed}},
        "shown": {"class_type": "PreviewAny", "inputs": {"source": ["pick", 0]}},
    }
    if saved:
        nodes["save"] = {"class_type": "LeVoSaveStyle", "inputs": {"style": ["pick", 0], **saved}}
    return nodes


def text_of(run: Run) -> str:
    assert run.status == "success", run.error
    return run.outputs["shown"]["text"][0]


def refusal(server: ComfyServer, **inputs: Any) -> str:
    """The one sentence with which ComfyUI refuses a prompt, before or while it runs."""
    try:
        run = server.run(prompt(**inputs))
    except PromptRejected as rejected:
        ((error,),) = [node["errors"] for node in rejected.node_errors.values()]
        sentence = error["details"].partition(" - ")[2] or error["details"]
    else:
        assert run.status == "error"
        sentence = run.error["exception_message"]
    assert_one_sentence(sentence)
    return sentence.strip()


def test_a_fresh_install_has_the_tiny_style_and_says_where_libraries_come_from(server, models: Path):
    assert choices(server) == [NONE_FOUND, TINY]
    assert "tiny" in text_of(server.run(prompt(TINY)))
    sentence = refusal(server, style=NONE_FOUND)
    for word in (
        "run the node LeVo Download Models with styles on",
        "new_prompt.pt from https://huggingface.co/spaces/tencent/SongGeneration (folder tools)",
        str(models),
        "LeVo Save Style",
    ):
        assert word in sentence


def test_the_combo_offers_the_styles_of_all_libraries_at_any_depth(server: ComfyServer, models: Path):
    libraries.write(models / "tools" / "new_auto_prompt.pt", libraries.spoken())
    libraries.write(models / "new_prompt.pt", libraries.unspoken())
    spoken = [f"{style} (new_auto_prompt)" for style in ("Auto", "Pop", "R&B/Soul")]
    unspoken = [f"{style} (new_prompt)" for style in ("Auto", "Pop", "Chinese Style", "Metal")]
    offered = choices(server)
    assert sorted(offered) == sorted([*spoken, *unspoken, TINY])
    assert offered[-1] == TINY
    assert all("Style(codes=" in text_of(server.run(prompt(choice))) for choice in offered)


def test_the_same_seed_draws_the_same_entry_and_another_another(server: ComfyServer, models: Path):
    libraries.write(models / "new_auto_prompt.pt", libraries.spoken())
    first = text_of(server.run(prompt("Pop (new_auto_prompt)", seed=0)))
    server.clear_cache()
    assert text_of(server.run(prompt("Pop (new_auto_prompt)", seed=0))) == first
    assert "Pop 4 of 5, en" in first
    assert "Pop 2 of 5, en" in text_of(server.run(prompt("Pop (new_auto_prompt)", seed=1)))


@pytest.mark.parametrize(
    ("lyrics", "language"), [("[verse]\npaper boats", "en"), ("[verse]\n纸船在银色的河流上漂流", "zh")]
)
def test_lyrics_tell_the_language(server: ComfyServer, models: Path, lyrics: str, language: str):
    libraries.write(models / "new_auto_prompt.pt", libraries.spoken())
    asked = prompt("Pop (new_auto_prompt)", language="auto")
    asked["lyrics"] = {"class_type": "LeVoLyrics", "inputs": {"text": lyrics}}
    asked["pick"]["inputs"]["lyrics"] = ["lyrics", 0]
    assert f", {language}'" in text_of(server.run(asked))


def test_a_new_version_of_a_library_is_read_again(server: ComfyServer, models: Path):
    path = libraries.write(models / "a.pt", {"Pop": [libraries.entry(1)]})
    first = text_of(server.run(prompt("Pop (a)")))
    libraries.write(path, {"Pop": [libraries.entry(2)] * 2})
    assert text_of(server.run(prompt("Pop (a)"))) != first


def test_a_style_is_saved_offered_and_used_again_and_never_overwritten(server: ComfyServer, models: Path):
    libraries.write(models / "new_auto_prompt.pt", libraries.spoken())
    first = server.run(prompt("Pop (new_auto_prompt)", name="rock/my own"))
    (models / "new_auto_prompt.pt").unlink()
    (path,) = (models / "styles").rglob("*.*")
    assert path == models / "styles" / "rock" / "my own.safetensors"
    assert choices(server) == ["my own (saved style)", TINY]
    assert text_of(server.run(prompt("my own (saved style)", seed=9))) == text_of(first)
    before = path.read_bytes()
    assert "there already" in refusal(server, style=TINY, name="rock/my own")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../outside", "a/../../b", "/tmp/outside"])
def test_a_name_that_leaves_the_folder_is_refused(server: ComfyServer, models: Path, name: str):
    assert "give one that stays in" in refusal(server, style=TINY, name=name)
    assert list(models.rglob("*.safetensors")) == []


def test_a_damaged_library_says_what_is_wrong(server: ComfyServer, models: Path):
    (models / "new_auto_prompt.pt").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
    )
    (choice, tiny) = choices(server)
    assert "damaged" in choice and tiny == TINY
    assert "Git LFS pointer" in refusal(server, style=choice)


def test_a_style_of_somebody_elses_library_is_refused_with_those_that_are_there(server, models: Path):
    libraries.write(models / "new_prompt.pt", libraries.unspoken())
    assert "new_prompt" in refusal(server, style="Pop (new_auto_prompt)")
    assert "choose one of Auto, Pop" in refusal(server, style="Polka (new_prompt)")


# In a song ----------------------------------------------------------------------------------------------


def styled(style: str | None, seed: int = 1) -> dict[str, Any]:
    """The prompt of a song of 2 s, in a style or in none."""
    asked = songs.song_prompt(compose={"max_seconds": 2})
    if style is not None:
        asked["pick"] = prompt(style, seed)["pick"]
        asked[songs.CONDITIONING]["inputs"]["style"] = ["pick", 0]
        del asked[songs.CONDITIONING]["inputs"]["description"], asked[songs.DESCRIPTION]
    return asked


def sound(server: ComfyServer, asked: dict[str, Any]) -> np.ndarray:
    run = server.run(asked)
    assert run.status == "success", run.error
    return songs.sound_of(server, run)[0]


def test_a_style_decides_the_song_and_so_does_its_seed(server: ComfyServer, models: Path):
    libraries.write(models / "new_auto_prompt.pt", libraries.spoken())
    without, first, other = (
        sound(server, styled(style, seed))
        for style, seed in ((None, 0), ("Pop (new_auto_prompt)", 0), ("Pop (new_auto_prompt)", 1))
    )
    server.clear_cache()
    again = sound(server, styled("Pop (new_auto_prompt)", 0))
    assert np.array_equal(first, again)
    assert not any(np.array_equal(first, song) for song in (without, other))
