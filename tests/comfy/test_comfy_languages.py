"""The interface in Chinese: whatever people read on our nodes is translated, and nothing else is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from support import pack
from support.comfy_server import PACK_NAME, ComfyServer, Response
from support.pack_nodes import NODES, inputs_of

LANGUAGE = "zh"
# Combos that list what is on the disk.
OF_FILES = {"checkpoint", "file", "library", "septoken", "one_rvq", "style"}
SCRIPTS = sorted((pack.ROOT / "web" / "js").glob("*.js"))
WORDS = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)+)\"""")
Texts = dict[tuple[str, ...], str]


@pytest.fixture(scope="module")
def translations(server: ComfyServer) -> dict[str, Any]:
    return server.get("/i18n")[LANGUAGE]


def options_of(name: str, spec: list[Any]) -> list[str]:
    """The choices of a combo that are the same on every machine, and the words of a switch."""
    kind, details = spec
    if kind == "BOOLEAN":
        return [details[state] for state in ("label_on", "label_off") if details.get(state)]
    choices = kind if isinstance(kind, list) else details.get("options", [])
    return [] if name in OF_FILES else [str(choice) for choice in choices]


def readable(node: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The keys that a translation of a node has."""
    yield from (("display_name",), ("description",))
    for name, spec in inputs_of(node).items():
        yield from (("inputs", name, "name"), ("inputs", name, "tooltip"))
        yield from (("inputs", name, "options", option) for option in options_of(name, spec))
    for number in range(len(node["output"])):
        yield from (("outputs", str(number), "name"), ("outputs", str(number), "tooltip"))


def flat(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Texts:
    found: Texts = {}
    for key, value in tree.items():
        found |= flat(value, (*above, key)) if isinstance(value, dict) else {(*above, key): value}
    return found


def of_files(key: tuple[str, ...]) -> bool:
    return len(key) == 4 and key[1] in OF_FILES


@pytest.mark.parametrize("name", NODES)
def test_all_that_people_read_on_a_node_is_translated(
    object_info: dict[str, Any], translations: dict[str, Any], name: str
):
    texts = flat(translations["nodeDefs"].get(name, {}))
    readable_keys = set(readable(object_info[name]))
    assert readable_keys - {key for key, text in texts.items() if text.strip()} == set()
    assert {key for key in texts if not of_files(key)} - readable_keys == set()


def test_no_translation_is_for_a_node_that_is_gone(translations: dict[str, Any]):
    assert [
        name for name in translations["nodeDefs"] if name.startswith("LeVo") and name not in NODES
    ] == []


@pytest.mark.parametrize("name", NODES)
def test_the_translated_help_page_uses_the_names_of_the_interface(
    server: ComfyServer, translations: dict[str, Any], name: str
):
    page = server.get(f"/extensions/{PACK_NAME}/docs/{name}/{LANGUAGE}.md")
    assert isinstance(page, Response)
    assert page.status == 200
    texts = flat(translations["nodeDefs"].get(name, {}))
    names = [text for key, text in texts.items() if len(key) == 3 and key[2] == "name"]
    assert [text for text in names if f"| {text} |" not in page.text] == []
    assert page.text.count("\n## ") >= 3


def test_words_of_the_scripts_are_translated(translations: dict[str, Any]):
    words = {word for script in SCRIPTS for word in WORDS.findall(script.read_text("utf-8"))}
    assert "Play" in words
    assert words - set(translations["levo"]) == set()
