"""tests/environment.sh: what it says where a program is missing, and which environments it removes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.pack import ROOT

SCRIPT = ROOT / "tests" / "environment.sh"
NEEDED = ("bash", "flock", "sha256sum", "du", "python3")
OLD = ("0123456789abcdef", "browser-0123456789abcdef", "linters-0123456789abcdef")
OTHERS = ("demo", "0123456789abcdef.txt", "my own")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason="The script needs bash, flock and GNU's tools."
)


def run(cache: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **more}
    command = [shutil.which("bash"), str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("comfyui", ["", "ComfyUI"])
def test_what_is_missing_is_named_in_one_sentence(tmp_path: Path, comfyui: str):
    if comfyui:
        comfyui = str(tmp_path / comfyui)
        Path(comfyui).mkdir()
        (Path(comfyui) / "main.py").touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dirname", "mkdir", "cat", "cut", "python3"):
        (programs / name).symlink_to(shutil.which(name))
    done = run(tmp_path / "cache", PATH=str(programs), COMFYUI_DIR=comfyui)
    assert done.returncode == 1 and done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith("environment: needs flock sha256sum; install them")


def test_environments_of_other_versions_go_with_their_sizes_named_and_all_else_stays(tmp_path: Path):
    cache = tmp_path / "comfyui-levo"
    for name in (*OLD, *OTHERS):
        (cache / name).mkdir(parents=True)
        (cache / name / "file").write_bytes(b"x" * 20_000)
    done = run(tmp_path, "clean")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in cache.iterdir()) == sorted(OTHERS)
    for name in OLD:
        assert f"{cache / name} takes " in done.stderr


def test_one_that_is_being_made_stays(tmp_path: Path):
    folder = tmp_path / "comfyui-levo" / OLD[0]
    folder.mkdir(parents=True)
    fcntl = pytest.importorskip("fcntl")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(tmp_path, "clean")
    assert done.returncode == 0, done.stderr
    assert folder.exists()
