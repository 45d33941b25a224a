"""Fixtures for all tests; above all one running ComfyUI with the pack, whose log is shown with a failure.

Importing `pack` makes `levo` importable for every test. What only a running
ComfyUI needs is imported by the fixtures that start it: unit tests do without.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import support.pack  # noqa: F401
import torch

from levo import tiny

if TYPE_CHECKING:
    from support.comfy_server import ComfyServer
    from support.hub_server import Hub

LOG_LINES = 60


@pytest.fixture(scope="session")
def model_hub() -> Iterator[Hub]:
    """What ComfyUI of `server` takes for the Hugging Face hub; empty at first."""
    from support.hub_server import Hub

    with Hub() as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model_hub: Hub) -> Iterator[ComfyServer]:
    from support.comfy_server import ComfyServer

    loopback = {"HF_ENDPOINT": model_hub.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1,localhost"}
    with ComfyServer(tmp_path_factory.mktemp("comfyui"), environment=loopback) as running:
        yield running


@pytest.fixture
def models(server: ComfyServer) -> Iterator[Path]:
    """models/levo, empty after the test."""
    folder = server.base / "models" / "levo"
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.fixture
def inference() -> Iterator[None]:
    """As nodes run: without gradients."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For small models: on a busy machine threads wait for each other longer than those compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def weights_drawn_once() -> Iterator[None]:
    """Weights of tiny models follow from names and shapes: a process draws each once, then copies it."""
    drawn = cache(tiny._weight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "_weight", lambda name, shape: drawn(name, shape).clone())
        yield


@pytest.fixture(scope="session")
def object_info(server: ComfyServer) -> dict[str, Any]:
    """The schemas of all nodes, as GET /object_info gives them."""
    return server.get("/object_info")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    running = getattr(item, "funcargs", {}).get("server")
    if report.failed and hasattr(running, "log"):
        report.sections.append(("ComfyUI log", "\n".join(running.log().splitlines()[-LOG_LINES:])))
    return report


POSIX = ("resource", "mkfifo", "SIGKILL")  # modules, functions and signals that Windows has not


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip a test where the system lacks what it needs: Linux's /proc, or what Windows has not."""
    try:
        return (yield)
    except (AttributeError, ModuleNotFoundError) as error:
        if sys.platform == "win32" and error.name in POSIX:
            pytest.skip(f"This needs {error.name}, which Windows has not.")
        raise
    except FileNotFoundError as error:
        if sys.platform != "linux" and str(error.filename).replace("\\", "/").startswith("/proc/"):
            pytest.skip("This is measured in Linux's /proc.")
        raise
