"""Lists of songs in a real ComfyUI: the prompt that makes them from ten frames each, and what it saved."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support import pack
from support.comfy_server import ComfyServer, Run

PROMPT = pack.ROOT / "tests" / "prompts" / "batch_from_jsonl.json"
LYRICS = "[verse] Hello there ; [chorus] La la la"


def batch_prompt(file: str, folder: str, **inputs: Any) -> dict[str, Any]:
    """The prompt with songs of ten frames, all in one run."""
    prompt = json.loads(PROMPT.read_text("utf-8"))
    prompt["list"]["inputs"] |= {"file": file, "folder": folder, "songs_a_run": 0, **inputs}
    prompt["compose"]["inputs"] |= {"max_seconds": 0.4}
    prompt["render"]["inputs"] |= {"steps": 1}
    return prompt


def list_path(server: ComfyServer, name: str) -> Path:
    """Where the list of a test lies."""
    name = re.sub(r"\W", "_", name)[:60]
    path = server.base / "input" / "lists" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    return path


def write(path: Path, lines: list[dict]) -> None:
    path.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")


def run(server: ComfyServer, path: Path, on_message: Any = None, **inputs: Any) -> Run:
    """Run a list, whose songs go into a folder of its name."""
    return server.run(
        batch_prompt(f"lists/{path.name}", f"lists/{path.stem}", **inputs), on_message=on_message
    )


def folder_of(server: ComfyServer, path: Path) -> Path:
    return server.base / "output" / "lists" / path.stem


def saved_names(run: Run) -> list[str]:
    """Names of the files that a good run saved."""
    assert run.status == "success", run.error
    return [Path(entry["filename"]).stem for entry in run.outputs.get("save", {}).get("audio", [])]


def results(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]
