"""Unit tests run small models: on one thread, where they are fastest, above all on a busy machine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _on_one_thread(one_thread: None) -> None:
    """For every test of this folder."""
