"""Unit tests run small models: on one thread, where they are fastest, above all on a busy machine.

With `pytest -n auto` there is a process for each core already.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def _modules_on_one_thread(weights_drawn_once: None) -> Iterator[None]:
    """For the fixtures of modules, which are made before those of their tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _on_one_thread(one_thread: None) -> None:
    """For every test of this folder."""
