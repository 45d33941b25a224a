"""Runs the nodes with ComfyUI's memory manager and prints what of their runs is still alive afterwards.

Run by test_comfy_lifetimes.py in a process of its own, because it imports ComfyUI. Nothing here waits for
the garbage collector, as a card's memory would not come back meanwhile.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.hosted import run  # first: it starts ComfyUI and imports the pack

# isort: split
import comfy.model_management as mm
import folder_paths
import torch
from levo_pack.levo import kinds, tiny
from levo_pack.nodes import loading
from levo_pack.nodes.host import folders, memory, reporting
from levo_pack.nodes.host.precision import AUTO
from levo_pack.nodes.sockets import SongRequest
from support.births import Births
from torch import Tensor

RUNS = 10
COMPOSE = {
    "seed": 1,
    "max_seconds": 1,
    "guidance": 1.5,
    "temperature": 0.8,
    "top_k": 50,
    "top_p": 0.0,
    "repetition_window": 50,
    "takes": 2,
    "cuda_graph": True,
}
RENDER = {"track": "mix", "seed": 2, "steps": 2, "guidance": 1.5}


def tensors(value: Any) -> list[Tensor]:
    """All tensors in what a node gave."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for each in value for tensor in tensors(each)]
    return tensors(list(vars(value).values())) if hasattr(value, "__dict__") else []


def heard(fits: bool = True, **inputs: Any) -> tuple[Any, ...]:
    """LeVo Song for an editor that plays what is rendered, which it gets if all models fit."""
    files: list[dict[str, Any]] = []
    watched, send = reporting.is_watched, reporting.send_event
    reporting.is_watched = lambda: True
    reporting.send_event = lambda event, data: files.append(data["file"])
    try:
        result = run("LeVoSong", **inputs)
    finally:
        reporting.is_watched, reporting.send_event = watched, send
    if bool(files) != fits:
        raise SystemExit(f"{len(files)} pieces were heard")
    return result


def prompts() -> dict[str, Callable[[], tuple[Any, ...]]]:
    """What runs each of the nodes on the tiny models."""
    small = replace(tiny.LELM, delays=(0, 3, 3), lyric_length=30)  # for short runs
    kinds.MODELS[kinds.Kind.LELM] = replace(kinds.MODELS[kinds.Kind.LELM], tiny=small)
    lelm = loading.load_lelm(folders.TINY, AUTO)
    renderer, vae = (load(folders.TINY, AUTO) for load in (loading.load_renderer, loading.load_vae))
    request = SongRequest("[verse] hello there.", "pop", False)
    composing = {"lelm": lelm, "conditioning": request, **COMPOSE}
    tokens = run("LeVoCompose", **composing)[0]
    (latent, *_) = run("LeVoRender", renderer=renderer, tokens=tokens, **RENDER)[0]
    rendering = {"renderer": renderer, **{f"render_{name}": RENDER[name] for name in list(RENDER)[1:]}}
    return {
        "LeVoCompose": lambda: run("LeVoCompose", **composing),
        "LeVoRender": lambda: run("LeVoRender", renderer=renderer, tokens=tokens, **RENDER),
        "LeVoSong": lambda: run("LeVoSong", **composing, **rendering),
        "LeVoSong heard": partial(heard, vae=vae, **composing, **rendering),
        "LeVoDecode": lambda: run("LeVoDecode", vae=vae, latent=latent),
    }


def stopping(error: BaseException, at: int) -> Callable[[reporting.Progress, int, int], None]:
    """What a progress bar does that lets `error` out at a step."""

    def on_step(progress: reporting.Progress, done: int, total: int) -> None:
        if done >= at:
            raise error

    return on_step


def stopped(prompt: Callable[[], Any], error: BaseException) -> list[list[int]]:
    """What lives after a run that was stopped."""
    called = reporting.Progress.__call__
    reporting.Progress.__call__ = stopping(error, 2)
    with Births() as births:
        try:
            prompt()
        except type(error) as caught:
            caught.__traceback__ = None  # ComfyUI keeps its text alone
        else:
            raise SystemExit("a run was not stopped")
        finally:
            reporting.Progress.__call__ = called
    return births.living()


def resident() -> int:
    """Bytes of memory that the process has."""
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def repeated(prompt: Callable[[], Any]) -> dict[str, list[int]]:
    """Tensors that are alive, and the process's memory, after each of some runs."""
    held, memory = [], []
    for _ in range(RUNS):
        prompt()
        held.append(sum(issubclass(type(each), Tensor) for each in gc.get_objects()))
        memory.append(resident())
    return {"tensors": held, "memory": memory}


def look(prompt: Callable[[], Any]) -> dict[str, Any]:
    """What lives after a run that returned, was cancelled or failed, and after many."""
    with Births() as births:
        result = prompt()
    found = {"returned": births.living(but=tensors(result)), "made": len(births)}
    del result
    found["cancelled"] = stopped(prompt, mm.InterruptProcessingException())
    found["failed"] = stopped(prompt, RuntimeError("CUDA error"))
    return {**found, **repeated(prompt)}


def same_in_one(made: dict[str, Callable[..., tuple[Any, ...]]]) -> bool:
    """Whether LeVo Song gives what LeVo Compose and LeVo Render give, however many of the models fit."""
    tokens, latents = made["LeVoCompose"]()[0], made["LeVoRender"]()[0]
    together, early = made["LeVoSong"](), made["LeVoSong heard"]()
    memory.load_together = lambda models, memory: False
    apart, silent = made["LeVoSong"](), made["LeVoSong heard"](fits=False)
    return all(
        torch.equal(tokens.codes, song[1].codes)
        and all(torch.equal(a["samples"], b["samples"]) for a, b in zip(latents, song[0], strict=True))
        for song in (together, early, apart, silent)
    )


@torch.inference_mode()
def main() -> None:
    """Print the findings by node, as JSON."""
    torch.set_num_threads(1)
    made = prompts()
    gc.collect()
    gc.disable()
    with TemporaryDirectory() as temp:
        folder_paths.set_temp_directory(temp)
        findings: dict[str, Any] = {name: look(prompt) for name, prompt in made.items()}
        sys.stdout.write(json.dumps({"nodes": findings, "same in one": same_in_one(made)}))


if __name__ == "__main__":
    main()
