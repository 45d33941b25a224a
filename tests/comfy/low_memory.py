"""Loads models onto a card that is too small and decodes there, and prints what happened.

Run by test_comfy_low_memory.py in a process of its own, because it imports ComfyUI.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import comfy.model_management as mm
import torch
from levo_pack.levo import tiny
from levo_pack.levo.config import FRAME_RATE, RELEASED_CONFIGS, RendererConfig
from levo_pack.levo.lelm.model import LeLM
from levo_pack.levo.memory import Room, weight_bytes
from levo_pack.levo.renderer.model import Renderer
from levo_pack.levo.song.latents import SongLatents
from levo_pack.levo.vae.oobleck import Vae
from levo_pack.nodes import loading
from levo_pack.nodes.host import fits, folders, memory
from levo_pack.nodes.host.precision import AUTO
from levo_pack.nodes.runs import Decoder, memory_to_compose
from levo_pack.nodes.sockets import LoadedLelm, LoadedModel

CARD = torch.device("meta")
SIZE, MEMORY = 4_000_000_000, 1_000_000_000  # of a model, and of a run beside it
SHARES = (2.5, 1.0, 0.5, 0.1)  # of both models' bytes that the card has
OTHER = 3_000_000_000  # of another model that is on the card and may leave


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class Patcher:
    """A model of some bytes on the card, with a share of them there, or brought when they are used."""

    def __init__(
        self, model: torch.nn.Module, loaded: float = 1.0, size: int = SIZE, dynamic: bool = False
    ):
        self.model, self.load_device = model, CARD
        self._size, self._loaded, self._dynamic = size, round(size * loaded), dynamic

    def model_size(self) -> int:
        return self._size

    def is_dynamic(self) -> bool:
        return self._dynamic

    def loaded_size(self) -> int:
        return self._loaded


def said_of(model: torch.nn.Module, loaded: float) -> list[str]:
    """The lines about a model of which a share is on the card."""
    lines = Lines()
    memory.log.addHandler(lines)
    memory.load_on_device(LoadedModel(Patcher(model, loaded), None, None, torch.float32), MEMORY)
    memory.log.removeHandler(lines)
    return lines.said


def together(share: float, other: int = 0) -> bool:
    """Whether both models are placed together on a card of a share of their bytes."""
    mm.get_free_memory = lambda device: share * 2 * SIZE - other
    mm.loaded_models = lambda: [Other(other)] if other else []
    models = [LoadedModel(Patcher(model), None, None, torch.float32) for model in (LELM, RENDERER)]
    return memory.load_together(models, MEMORY)


def shortage(number: str, seconds: float, loaded: float = 0.8, dynamic: bool = False) -> str:
    """What is said of v2-medium in a number format on a card sold as 8 GB, with a share of it there."""
    config = RELEASED_CONFIGS["v2-medium"]
    fits.room = lambda: Room(round(7.8 * fits.GIB))
    patcher = Patcher(LELM, loaded, weight_bytes(config, number), dynamic)
    lelm = LoadedLelm(patcher, config, None, torch.float16, None, AUTO, False)
    return fits.shortage(lelm, memory_to_compose(lelm, round(seconds * FRAME_RATE), 1))


class Other:
    """Another model on the card."""

    def __init__(self, size: int):
        self.load_device, self._size = CARD, size

    def loaded_size(self) -> int:
        return self._size


def decoded(most: int) -> dict[str, Any]:
    """Decode a window where memory runs out for more than `most` frames."""
    vae = loading.load_vae(folders.TINY, AUTO)
    latents = SongLatents(torch.linspace(-1, 1, 64 * 400).view(1, 64, 400), torch.zeros(1, 64, 0), 0)
    want = Decoder(vae, 1)(latents, lambda done, total: None)
    sizes, decode = [], vae.patcher.model.decode

    def small(piece: torch.Tensor) -> torch.Tensor:
        sizes.append(piece.shape[2])
        if piece.shape[2] > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return decode(piece)

    vae.patcher.model.decode = small
    failure, error = "", 0.0
    try:
        made = Decoder(vae, 1)(latents, lambda done, total: None)
        error = float((made - want).abs().max() / want.std())
    except torch.cuda.OutOfMemoryError as caught:
        failure = str(caught)
    return {"first": sizes[0], "last": sizes[-1], "failure": failure, "error": error}


def cancelled() -> bool:
    """Whether Cancel goes through where running out of memory is any Exception."""
    mm.OOM_EXCEPTION, tries = Exception, []

    def work(size: int) -> None:
        tries.append(size)
        raise mm.InterruptProcessingException

    try:
        memory.retry_smaller_on_oom(work, 1_000, 64)
    except mm.InterruptProcessingException:
        return tries == [1_000]
    return False


LELM, RENDERER, VAE = (
    kind(config, device=CARD)
    for kind, config in ((LeLM, tiny.LELM), (Renderer, tiny.RENDERER), (Vae, tiny.VAE))
)


@torch.inference_mode()
def main() -> None:
    """Print the findings, as JSON."""
    torch.set_num_threads(1)
    findings = {"decoded": {str(most): decoded(most) for most in (1_000, 130, 70, 10)}}
    mm.load_models_gpu = lambda *models, **options: None
    findings["said"] = {
        type(model).__name__: {str(share): said_of(model, share) for share in (1.0, 0.5, 0.1)}
        for model in (LELM, RENDERER, VAE)
    }
    findings["together"] = {str(share): together(share) for share in SHARES}
    findings["together once another leaves"] = together(2.5, OTHER)
    findings["short"] = {
        "fp16": shortage("fp16", 150),
        "fp16 dynamic": shortage("fp16", 150, 0.0, dynamic=True),
        "fp32": shortage("fp32", 1),
        "int4 of the longest": shortage("int4", 270, dynamic=True),
        "fp16, all there": shortage("fp16", 150, 1.0),
        "int8 dynamic": shortage("int8", 270, 0.0, dynamic=True),
        "nothing fits": shortage("int4", 2000),
    }
    findings["cancelled"] = cancelled()
    findings["window"] = RendererConfig().window
    sys.stdout.write(json.dumps(findings))


if __name__ == "__main__":
    main()
