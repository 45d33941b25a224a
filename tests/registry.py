"""`make lint-registry`: what the tools say of the pack with which registries and reviewers look at packs.

Knows how each is called; needs no network. comfy-cli validates and packs what git has committed, comfy-lint
reads the examples and prompts against a real ComfyUI's schemas, comfy-import-guard looks for what the pack
uses and this ComfyUI has not. Takes the Python of the tools; exit code 1 where one complains.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from support.comfy_server import PACK_NAME, ComfyServer, comfyui_folder
from support.pack import ROOT
from support.workflow import to_prompt

LEFT_OUT = ("tests/", "Makefile", ".github/")  # of what the registry gets
GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")


class Skipped(RuntimeError):
    """Why a tool was not asked."""


class Complaint(RuntimeError):
    """What a tool, or this file, has to complain of."""


def main(tools: Path) -> int:
    """Run all; returns the exit code."""
    complaints = 0
    with tempfile.TemporaryDirectory(prefix="levo-registry-") as name:
        base = Path(name)
        os.environ["HOME"] = name  # comfy-cli keeps notes of its own there
        pack = base / "custom_nodes" / PACK_NAME
        call([*GIT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(pack)], base)
        checks = {
            "comfy-cli validate": lambda: call(
                [tools / "comfy", "--skip-prompt", "node", "validate"], pack
            ),
            "comfy-cli pack": lambda: packed(tools, pack),
            "comfy-lint": lambda: linted(tools, base),
            "comfy-import-guard": lambda: guarded(tools, base),
        }
        for title, check in checks.items():
            try:
                check()
                print(f"{title}: nothing to complain of")
            except Skipped as reason:
                print(f"{title}: left out: {reason}")
            except Complaint as complaint:
                complaints += 1
                print(f"{title}:\n{complaint}")
    return int(complaints > 0)


def call(command: list[object], folder: Path) -> str:
    """Run a tool in a folder; gives what it says. Raises Complaint where it fails."""
    run = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True)
    if run.returncode:
        raise Complaint(f"{run.stdout}{run.stderr}".strip())
    return run.stdout


def packed(tools: Path, pack: Path) -> None:
    call([tools / "comfy", "--skip-prompt", "node", "pack"], pack)
    (file,) = pack.glob("*.zip")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    file.unlink()
    if "__init__.py" not in names or any(name.startswith(LEFT_OUT) for name in names):
        raise Complaint("The archive lacks the pack, or has what only developers need.")


def linted(tools: Path, base: Path) -> None:
    """Examples and prompts, against the schemas of a ComfyUI that has no song and no model yet."""
    schemas, files = base / "object_info.json", []
    with ComfyServer(base / "server") as server:
        known = server.get("/object_info")
    schemas.write_text(json.dumps(known), encoding="utf-8")
    for path in sorted((ROOT / "example_workflows").glob("*.json")):
        prompt = base / path.name
        prompt.write_text(json.dumps(to_prompt(json.loads(path.read_text("utf-8")), known)), "utf-8")
        files.append(prompt)
    files += sorted((ROOT / "tests" / "prompts").glob("*.json"))
    call([tools / "comfy-lint", "--strict", "--schema-cache", schemas, *files], base)


def guarded(tools: Path, base: Path) -> None:
    """The guard reads ComfyUI from a repository of git; one of this ComfyUI's code has one commit.

    It takes what the pack uses where it is there for what must be there, so that it wants a newer ComfyUI.
    """
    source, copy = comfyui_folder(), base / "guard" / "ComfyUI"
    if not (source / "comfy" / "model_prefetch.py").exists():
        raise Skipped(f"{source} is older than what the pack can use; give a newer one as COMFYUI_DIR")
    shutil.rmtree(base / "custom_nodes" / PACK_NAME / "tests")  # which the registry does not get
    for path in source.rglob("*.py"):
        inside = path.relative_to(source)
        if inside.parts[0] not in ("custom_nodes", "tests", "tests-unit"):
            (copy / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy / inside)
    call([*GIT, "init", "--quiet"], copy)
    call([*GIT, "add", "--all"], copy)
    call([*GIT, "commit", "--quiet", "--message", "ComfyUI"], copy)
    guard = [tools / "comfy-import-guard", "--offline", "--quiet", "--cache-dir", base / "guard"]
    call([*guard, "check", "--comfy-dir", base, "--target", "HEAD", "--no-update"], base)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).parent))
