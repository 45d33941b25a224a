"""Lists of folders full of odd files, in a process that has little memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support import odd_files, pack, releases
from support.odd_files import ODD

from levo.files import parts
from levo.files.listing import Listing

MEMORY = 400_000_000  # bytes of address space for listing all of them, beside what the process has


def limited(folder: Path) -> None:
    """List a folder in a process that may take no more than MEMORY beside what it has."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    for file in Listing().files([folder]):
        parts.damage_of(file.path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")
def test_all_odd_files_are_listed_without_much_memory(tmp_path: Path):
    for name, write in ODD.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
    for number, text in enumerate(odd_files.CONFIGS.values()):
        path = releases.write_release(tmp_path / f"release {number}", "base")
        (path.parent / "config.yaml").write_text(text)
    script = f"from slow.test_listing_memory import limited, Path; limited(Path({str(tmp_path)!r}))"
    environment = {**os.environ, "PYTHONPATH": f"{pack.ROOT}:{pack.ROOT / 'tests'}"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2_000:]
    assert "MemoryError" not in run.stderr and "allocate" not in run.stderr
