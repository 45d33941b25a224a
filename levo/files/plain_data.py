"""Texts of others as plain data: JSON and YAML of bounded size and depth, in which nothing stands for more.

What is refused here could cost hours or gigabytes while it is parsed: deep nesting, YAML's aliases (a few
lines of which stand for a billion values) and its tags. Knows no format of ours.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000  # of a file; released configs have 4 kB
MAX_DEPTH = 50  # brackets or indents; released configs have 4
MAX_NODES = 20_000  # values of a YAML text; released configs have 130
MAX_SCALAR = 10_000  # characters of one of them: PyYAML takes minutes for a number like 1:1:1:...
SHOWN = 200  # characters of a value in a message
JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class PlainDataError(ValueError):
    """A text is no plain data, or more than is read; the message says why, as the rest of a sentence."""


def read_text(path: Path) -> str:
    """Text of a small file.

    Raises:
        PlainDataError: it is no file, larger than MAX_BYTES or not UTF-8.
        OSError: it cannot be opened.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise PlainDataError("it is no regular file")
    if state.st_size > MAX_BYTES:
        raise PlainDataError(f"it has {state.st_size:,} bytes, and at most {MAX_BYTES:,} are read")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PlainDataError("it is no text in UTF-8") from None


def from_json(text: str) -> Any:
    """Plain data of a JSON text.

    Raises:
        PlainDataError: it is none, or nested deeper than MAX_DEPTH.
    """
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", JSON_TEXT.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise PlainDataError(f"it is nested more than {MAX_DEPTH} deep")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlainDataError("it is no JSON") from error


def from_yaml(text: str) -> Any:
    """Plain data of a YAML text.

    Raises:
        PlainDataError: it is none, has aliases or tags, or more than MAX_DEPTH levels or MAX_NODES values.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except PlainDataError:
        raise
    except Exception as error:  # PyYAML lets out whatever dates, numbers and keys raise
        raise PlainDataError("it is no YAML") from error


def shown(value: object) -> str:
    """A value as messages show it: not longer than a line, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes out
        text = "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class _Loader(yaml.SafeLoader):
    """PyYAML's loader of plain data, without what makes a short text long."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise PlainDataError("it has an alias (*), which is not read")
        if getattr(event, "tag", None) is not None:
            raise PlainDataError("it has a tag (!), which is not read")
        if len(getattr(event, "value", "")) > MAX_SCALAR:
            raise PlainDataError(f"it has a value of more than {MAX_SCALAR:,} characters")
        self.nodes += 1
        self.depth += 1
        if self.nodes > MAX_NODES or self.depth > MAX_DEPTH:
            raise PlainDataError(f"it has more than {MAX_DEPTH} levels or {MAX_NODES:,} values")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1
