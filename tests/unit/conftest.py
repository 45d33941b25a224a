"""Unit tests run small models: on one thread, where they are fastest, above all on a busy machine.

With `pytest -n auto` there is a process for each core already.
"""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _on_one_thread(one_thread: None, weights_drawn_once: None) -> None:
    """For every test of this folder, and for the fixtures of its modules."""
