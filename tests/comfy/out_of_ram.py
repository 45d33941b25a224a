"""Runs nodes in a process that may take little more memory than it has, and prints what they say.

Run by test_comfy_out_of_ram.py in a process of its own, because it imports ComfyUI and limits itself.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.hosted import nodes, run, run_locked  # first: it starts ComfyUI and imports the pack

# isort: split
import folder_paths
import torch
from comfy_api.latest import io
from levo_pack.levo.song.tokens import SongRequest
from levo_pack.nodes.host import folders, memory
from levo_pack.nodes.host.folders import TINY
from support import releases

RUNNING_OUT = (
    MemoryError(),
    MemoryError("Unable to allocate 8.00 GiB for an array"),
    OSError(12, "Cannot allocate memory"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 8589934592 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:116] data. DefaultCPUAllocator: not enough memory: you tried"
    ),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("MKL FFT error: Intel oneMKL DFTI ERROR: Inconsistent configuration parameters"),
    RuntimeError("MKL FFT error: Intel MKL DFTI ERROR: Memory allocation error"),
    RuntimeError("unable to mmap 5460000000 bytes from file <model.pt>: Cannot allocate memory (12)"),
)
OTHERS = (ValueError("no"), torch.cuda.OutOfMemoryError("CUDA out of memory"), KeyError("a"))
HEADROOM = 64_000_000  # bytes that a run may take more
SAMPLING = {"guidance": 1.5, "temperature": 0.9, "top_k": 50, "top_p": 0.0, "repetition_window": 50}


def limited(run: Callable[[], Any]) -> tuple[str, str]:
    """Kind and text of what a run raises that has too little memory; it works without the limit."""
    gc.collect()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size + HEADROOM, most))
    try:
        run()
        return "", ""
    except Exception as error:
        return type(error).__name__, str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def come_out(error: Exception, wrapped: bool = False) -> str:
    """Kind and text of what comes out of a node in which an error is raised, bare or as another's cause."""

    class Node(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(node_id="LeVoNode", display_name="LeVo Node")

        @classmethod
        def execute(cls) -> None:
            if wrapped:
                raise ValueError("model.pt cannot be read as a checkpoint; download it again.") from error
            raise error

    try:
        run_locked(memory.explaining_out_of_ram(Node))
    except Exception as come:
        return f"{type(come).__name__}: {come}"
    return ""


def main() -> None:
    folders.register()
    lelm, renderer, vae = (
        run(f"LeVoLoad{name}", checkpoint=TINY, dtype="fp32")[0] for name in ("LeLM", "Renderer", "VAE")
    )
    request = SongRequest("[verse] la.", "", False, None)
    composing = {"lelm": lelm, "conditioning": request, "seed": 0, "cuda_graph": False, **SAMPLING}
    tokens = run("LeVoCompose", max_seconds=2, takes=1, **composing)[0]
    rendering = {"renderer": renderer, "seed": 0, "steps": 1, "guidance": 1.5}
    long = type(tokens)(
        torch.zeros(16, 3, 12_000, dtype=torch.int64), (12_000,) * 16, tuple(range(16)), (True,) * 16,
        request, tokens.sampling, tokens.composer,
    )  # fmt: skip
    latent = {"samples": torch.zeros(1, vae.config.latent, 200_000)}
    with tempfile.TemporaryDirectory() as place:
        folder_paths.folder_names_and_paths[folders.KEY] = ([place], {".ckpt", ".safetensors"})
        vae_file = releases.write_vae(Path(place)).name
        cases = {
            "LeVoCompose": lambda: run("LeVoCompose", max_seconds=48, takes=16, **composing),
            "LeVoRender": lambda: run("LeVoRender", tokens=long, track="mix", **rendering),
            "LeVoRenderStems": lambda: run("LeVoRenderStems", tokens=long, mode="rendered", **rendering),
            "LeVoDecode": lambda: run("LeVoDecode", vae=vae, latent=latent),
            "LeVoLoadVAE": lambda: run("LeVoLoadVAE", checkpoint=vae_file, dtype="fp32"),
        }
        said = {name: limited(case) for name, case in cases.items()}
    found = {
        "limited": said,
        "told": [come_out(error, wrapped) for error in RUNNING_OUT for wrapped in (False, True)],
        "others": [come_out(error) for error in OTHERS],
        "untold": [name for name, node in nodes().items() if not hasattr(node.execute, "__wrapped__")],
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
