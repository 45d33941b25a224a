"""The pack's nodes in this process, run as ComfyUI runs them; importing this starts ComfyUI on the CPU."""

from __future__ import annotations

from support import hosted  # first: it starts ComfyUI and imports the pack

# isort: split
import atexit
import logging
import resource
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import folder_paths
import server
import torch
from levo_pack.nodes.host import folders

logging.disable(logging.CRITICAL)
server.PromptServer.instance = None  # as nodes see it where there is no server

MEMORY = 8_000_000_000  # bytes of its own that this process may have; more is a traceback
resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
ROOT = Path(tempfile.mkdtemp(prefix="levo-attack-"))
atexit.register(shutil.rmtree, ROOT, ignore_errors=True)
INPUT, OUTPUT = ROOT / "input", ROOT / "output"
WEIGHTS = ROOT / "models" / "levo"
for folder in (WEIGHTS, INPUT, OUTPUT):
    folder.mkdir(parents=True)
folder_paths.models_dir = str(ROOT / "models")
folder_paths.set_input_directory(str(INPUT))
folder_paths.set_output_directory(str(OUTPUT))
folders.register()
folder_paths.folder_names_and_paths[folders.KEY][0][:] = [str(WEIGHTS)]

COMPOSE = {"seed": 1, "max_seconds": 1, "top_k": 50, "takes": 1}
RENDER = {"track": "mix", "seed": 2, "steps": 1}


def run(node: str, **inputs: Any) -> tuple[Any, ...]:
    """Execute a node, with the defaults of inputs that are not named; lists of inputs have one entry."""
    schema = hosted.nodes()[node].define_schema()
    if schema.is_input_list:
        defaults = {each.id: each.default for each in schema.inputs if hasattr(each, "default")}
        inputs = {name: [value] for name, value in (defaults | inputs).items()}
    with torch.inference_mode():
        return hosted.run(node, **inputs)


def describe_all() -> None:
    """Describe all nodes, as every start of ComfyUI and every press of R does."""
    folder_paths.cache_helper.clear()
    folder_paths.filename_list_cache.clear()
    for node in hosted.nodes().values():
        node.GET_NODE_INFO_V1()


@cache
def tiny(kind: str) -> Any:
    """A built-in model: LeLM, Renderer, VAE, Separator or StyleEncoder."""
    names = {"StyleEncoder": ("septoken", "one_rvq")}.get(kind, ("checkpoint",))
    return run(f"LeVoLoad{kind}", **dict.fromkeys(names, folders.TINY))[0]


@cache
def tokens() -> Any:
    """A second of a song."""
    (conditioning, *_) = run("LeVoConditioning", lyrics="[verse] la la", description="pop.")
    return run("LeVoCompose", lelm=tiny("LeLM"), conditioning=conditioning, **COMPOSE)[0]


@cache
def latent() -> dict[str, Any]:
    """Its latents."""
    (latent, *_) = run("LeVoRender", renderer=tiny("Renderer"), tokens=tokens(), **RENDER)[0]
    return latent
