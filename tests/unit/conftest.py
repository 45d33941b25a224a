"""What unit tests measure by means of Linux is not tested elsewhere; the rest runs on every system."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

# It limits the size of files by `resource`, which Windows has not.
collect_ignore = ["test_hub.py"] if sys.platform == "win32" else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip a test that looks into /proc where there is none."""
    try:
        return (yield)
    except FileNotFoundError as error:
        if sys.platform != "linux" and str(error.filename).replace("\\", "/").startswith("/proc/"):
            pytest.skip("This is measured in Linux's /proc.")
        raise
