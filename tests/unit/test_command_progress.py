"""What is seen of a run: lines where nobody watches, bars on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from levo.command.progress import Bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch):
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with Bars(2) as bars:
        bars.watch("composing")(1, 10)
        bars.song("one is made")
    assert said.getvalue() == "1/2 one is made\n"


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tqdm")
    said = Terminal()
    monkeypatch.setattr(sys, "stderr", said)
    with Bars(2) as bars:
        step = bars.watch("composing")
        for done in range(11):
            step(done, 10)
        bars.watch("rendering")(1, 1)
        bars.song("one is made")
    assert "composing" in said.getvalue()
    assert "one is made" in said.getvalue()
    assert "1/2" in said.getvalue()


def test_nothing_where_nothing_is_wanted(monkeypatch: pytest.MonkeyPatch):
    said = Terminal()
    monkeypatch.setattr(sys, "stderr", said)
    with Bars(2, quiet=True) as bars:
        bars.watch("composing")(1, 10)
        bars.song("one is made")
    assert said.getvalue() == ""
