"""Memory that runs out in a run, on a CPU: each node says so in a sentence, and runs again."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import gc
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attack.judge import Findings

ROOM = (0, 2_000_000, 10_000_000, 40_000_000)  # bytes that a run may take beyond what there is


def main() -> None:
    """Run each node with so much memory more, then with all of it."""
    findings = Findings("short_memory", seconds=90.0)  # decoding many songs takes a while
    for name, run in _runs().items():
        run()  # what is made once is made now
        for room in ROOM:
            findings.attempt(f"{name} with {room // 1_000_000} MB", partial(_confined, run, room))
        findings.attempt(f"{name} afterwards", run)
    findings.report()


def _runs() -> dict[str, Callable[[], Any]]:
    tokens, latent = nodes.tokens(), nodes.latent()
    long = {"waveform": torch.randn(1, 2, 60 * 48000) * 0.1, "sample_rate": 44100}
    many = {"samples": torch.randn(8, 64, 500), "type": "audio"}
    conditioning = nodes.run("LeVoConditioning", lyrics="[verse] la la", description="pop.")[0]
    compose = {"lelm": nodes.tiny("LeLM"), "conditioning": conditioning, **nodes.COMPOSE, "takes": 8}
    render = {"renderer": nodes.tiny("Renderer"), "tokens": tokens, **nodes.RENDER}
    split = {"separator": nodes.tiny("Separator"), "audio": long}
    style = {
        "style_encoder": nodes.tiny("StyleEncoder"),
        "audio": long,
        "separator": nodes.tiny("Separator"),
    }
    return {
        "compose": partial(nodes.run, "LeVoCompose", **compose),
        "render": partial(nodes.run, "LeVoRender", **render),
        "decode": partial(nodes.run, "LeVoDecode", vae=nodes.tiny("VAE"), latent=latent),
        "decode many": partial(nodes.run, "LeVoDecode", vae=nodes.tiny("VAE"), latent=many),
        "finish": partial(nodes.run, "LeVoFinishSong", audio=long, normalise=True, fade="off"),
        "split": partial(nodes.run, "LeVoSplitVocals", **split),
        "style": partial(nodes.run, "LeVoStyleFromAudio", **style),
        "load LeLM": partial(nodes.run, "LeVoLoadLeLM", checkpoint=nodes.folders.TINY),
    }


def _confined(run: Callable[[], Any], room: int) -> None:
    gc.collect()
    used = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmData")
    )
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + room, before[1]))
    try:
        run()
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


if __name__ == "__main__":
    main()
