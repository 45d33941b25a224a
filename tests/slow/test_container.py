"""The Dockerfile of the command: what it copies is there, and its steps give a command that makes songs.

Where there is no docker its steps are run in a virtual environment, which is clean but for packages: those
of the tests' environment stand for what pip would fetch, but setuptools, which builds the wheel. The linter
is `make lint-docker`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support import pack
from support.listed_songs import lines

DOCKERFILE = pack.ROOT / "levo" / "command" / "Dockerfile"
FORGOTTEN = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def steps() -> list[tuple[str, str]]:
    """Instructions and what follows them, continued lines joined, comments left out."""
    text = "\n".join(
        line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")
    )
    joined = re.sub(r"\\\n\s*", " ", text)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def following(instruction: str) -> list[str]:
    return [rest for name, rest in steps() if name == instruction]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the Dockerfile makes below /opt."""
    root = tmp_path_factory.mktemp("container")
    subprocess.run([sys.executable, "-m", "venv", str(root / "opt" / "levo")], check=True)
    (site,) = (root / "opt" / "levo").glob("lib/python*/site-packages")
    (site / "tests.pth").write_text(sysconfig.get_path("purelib"))
    folder = root / "pack"
    folder.mkdir()
    for copied in following("COPY"):
        *names, target = copied.split()
        for name in names:
            source = pack.ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / target, ignore=FORGOTTEN)
            else:
                shutil.copy(source, folder / target)
    environment = os.environ | {"PATH": f"{root / 'opt' / 'levo' / 'bin'}:{os.environ['PATH']}"}
    for step in following("RUN"):
        if step.startswith("pip "):
            subprocess.run(["bash", "-c", step], cwd=folder, env=environment, check=True)
    return root / "opt" / "levo" / "bin"


def test_it_ends_as_a_command_of_no_rights():
    assert [json.loads(each) for each in (*following("ENTRYPOINT"), *following("CMD"))] == [
        ["levo"],
        ["--help"],
    ]
    assert following("USER") == ["1000:1000"]  # a number, so that a cluster can tell that it is not root
    assert "install -d -m 1777 /work" in " ".join(following("RUN"))  # whoever --user names may write there
    assert following("WORKDIR")[-1] == "/work"
    assert following("FROM")[0].startswith("nvidia/cuda:")


def test_its_steps_make_a_command_that_makes_songs(built: Path, tmp_path: Path):
    command = [str(built / "levo"), "example", "out", "--max-seconds=0.2", "--steps=1", "--threads=1"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert len(lines(tmp_path / "out")) == 2
    asked = [str(built / "python"), "-c", "import levo, sys; sys.stdout.write(levo.__file__)"]
    where = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert Path(where).is_relative_to(built.parent)  # not the pack's folder


def test_the_wheel_holds_levo_alone(built: Path):
    (recorded,) = built.parent.glob("lib/python*/site-packages/levo-*.dist-info/RECORD")
    names = {line.split(",")[0].split("/")[0] for line in recorded.read_text("utf-8").splitlines()}
    assert {name for name in names if not name.startswith("levo-")} <= {"levo", ".."}
    assert (built / "levo").is_file()
