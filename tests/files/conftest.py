"""As unit tests, these run on one thread: the models of their files are small."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _on_one_thread(one_thread: None, weights_drawn_once: None) -> None:
    """For every test of this folder, and for the fixtures of its modules."""
