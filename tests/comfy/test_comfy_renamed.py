"""A node that was called otherwise once: workflows with its old id run, where ComfyUI has replacements."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from support import pack, songs
from support.comfy_server import ComfyServer

EMPTY = "RENAMED: tuple[Renamed, ...] = ()"
MADE_UP = """RENAMED = (
    Renamed(
        "LeVoOldLoader",
        "LeVoLoadLeLM",
        inputs=(("model", "checkpoint"), ("dtype", "dtype")),
        widgets=("model", "dtype"),
    ),
)"""
PARTS = ("__init__.py", "nodes", "levo", "web", "locales")

NODES = pack.comfyui_dir() / "comfy_api" / "latest" / "_io.py"
pytestmark = pytest.mark.skipif(
    "class NodeReplace" not in NODES.read_text(encoding="utf-8"),
    reason="This ComfyUI is older than replacements of nodes.",
)


@pytest.fixture(scope="module")
def renaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A ComfyUI with a pack in which LeVo Load LeLM had another name and another input once."""
    copy = tmp_path_factory.mktemp("renaming") / "pack"
    for name in PARTS:
        source = pack.ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy)
    table = copy / "nodes" / "renamed.py"
    text = table.read_text(encoding="utf-8")
    assert EMPTY in text
    table.write_text(text.replace(EMPTY, MADE_UP), encoding="utf-8")
    with ComfyServer(tmp_path_factory.mktemp("comfyui"), pack=copy) as running:
        yield running


def test_a_workflow_with_the_old_id_runs_as_the_new_one(renaming: ComfyServer):
    prompt = songs.song_prompt(compose={"max_seconds": 1}, render={"steps": 1})
    (loader,) = (node for node in prompt.values() if node["class_type"] == "LeVoLoadLeLM")
    values = loader["inputs"]
    loader.update(
        class_type="LeVoOldLoader",
        inputs={"model": values["checkpoint"], "dtype": values["dtype"]},
    )
    for node in prompt.values():
        node["_meta"] = {
            "title": node["class_type"]
        }  # without which ComfyUI 0.33 stumbles, as from its API
    run = renaming.run(prompt)
    assert run.status == "success", run.error


def test_the_editor_is_told_the_old_name(renaming: ComfyServer):
    (known,) = renaming.get("/node_replacements")["LeVoOldLoader"]
    assert known["new_node_id"] == "LeVoLoadLeLM"
    assert known["old_widget_ids"] == ["model", "dtype"]
