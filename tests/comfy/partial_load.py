"""Loads the models with ComfyUI's memory manager as onto a card that is too small, and prints what it saw.

Run by test_comfy_partial_load.py in a process of its own, because it imports ComfyUI. There is no card:
what would be on it lies on torch's `meta` device, which computes shapes and no numbers, so that a weight
that stayed behind is seen at its first use. Numbers are compared with both ends on the CPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import comfy.model_patcher
import comfy.ops
import torch
from levo_pack.levo import tiny
from levo_pack.levo.lelm.conditions import prepare
from levo_pack.levo.lelm.model import LeLM
from levo_pack.levo.renderer.model import Renderer
from levo_pack.levo.renderer.solver import solve
from levo_pack.levo.style_encoder.encode import StyleEncoder
from levo_pack.levo.text.tokenizer import Tokenizer
from levo_pack.levo.vae.chunks import decode_chunks
from levo_pack.levo.vae.oobleck import Snake, Vae
from levo_pack.nodes.host import precision
from levo_pack.nodes.host.precision import AUTO, FP8, INT8, SDPA, lelm_precision, renderer_precision
from support.pack import tokenizer_dir
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

precision.fbgemm.is_available = lambda: False  # nobody asks for layers of a CPU where there is a card

CPU, CARD = torch.device("cpu"), torch.device("meta")
COPIES = ("aten::_to_copy", "aten::copy_", "aten::to")
SHARES = (0.0, 0.1, 0.5)
OPERATIONS = {"plain": (comfy.ops.disable_weight_init, torch.float32)}
OPERATIONS["cast"] = (comfy.ops.manual_cast, torch.bfloat16)
OPERATIONS["int8"] = (
    lelm_precision(INT8, SDPA, 16).operations,
    torch.float32,
)
OPERATIONS["fp8"] = (
    renderer_precision(FP8, AUTO, 16).operations,
    torch.float32,
)
ONLY = {"int8": "lelm", "fp8": "renderer"}  # the model that these layers are for
ALL = 2.0  # more than the whole model


class Watch(TorchDispatchMode):
    """Notes every operation on tensors of two devices; single numbers and copies may cross."""

    def __init__(self) -> None:
        super().__init__()
        self.crossings: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = torch.utils._pytree.tree_leaves((args, kwargs or {}))
        devices = {str(x.device) for x in tensors if isinstance(x, Tensor) and x.ndim}
        if len(devices) > 1 and func._schema.name not in COPIES:
            shapes = [list(x.shape) for x in tensors if isinstance(x, Tensor)]
            self.crossings.append(f"{func._schema.name} {shapes}")
        return func(*args, **(kwargs or {}))


class Careless(nn.Module):
    """What the models must not be: proves that the checks below see each fault."""

    def __init__(self, operations, device=None, dtype=None):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 4, device=device, dtype=dtype))
        self.inner = nn.Linear(4, 4, device=device, dtype=dtype)
        self.register_buffer("table", torch.zeros(1, 4, device=device, dtype=dtype))


def run_lelm(model: LeLM, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """The prefix, a first and a second step."""
    tokenizer = Tokenizer(tokenizer_dir(), "v2")
    conditions = prepare("[verse] hello there.", "[Musicality-very-high], pop", None, tiny.LELM, tokenizer)
    prefix = model.condition(conditions.to(device))
    caches = model.caches(2, tiny.LELM.prefix_length + 2, prefix.stage1)
    codes = torch.arange(6, device=device).view(2, 3, 1)
    return [model(codes, caches, prefix), model(codes + 7, caches)]


def run_renderer(model: Renderer, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """One window with ten known frames."""
    codes = torch.arange(20, device=device).view(1, 20)
    noise = torch.linspace(-1, 1, 20 * 64, device=device).view(1, 20, 64)
    condition = model.condition(codes, codes + 20)
    known = model.normalise(noise[:, :10])
    return [model.denormalise(solve(model, condition, noise, known, steps=2, guidance=1.5))]


def run_vae(model: Vae, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Out and in again."""
    latents = torch.linspace(-1, 1, 4 * 64, device=device, dtype=dtype).view(1, 64, 4)
    audio = decode_chunks(model, latents)
    return [audio, *model.encode(audio)]


def run_encoder(model: StyleEncoder, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Features and codes of a second of both tracks."""
    audio = torch.linspace(-40, 40, 48_000, device=device).sin()[None]
    features = {track: model.features(audio, track) for track in model.config.tracks}
    return [*features.values(), *(model.quantizers[track](f) for track, f in features.items())]


@dataclass(frozen=True)
class Model:
    """How to build a tiny model and use all of it."""

    build: Callable[..., nn.Module]
    run: Callable[[nn.Module, torch.device, torch.dtype], list[Tensor]]


MODELS = {
    "lelm": Model(lambda *a, **place: LeLM(tiny.LELM, *a, **place), run_lelm),
    "renderer": Model(lambda *a, **place: Renderer(tiny.RENDERER, *a, **place), run_renderer),
    "vae": Model(lambda *a, **place: Vae(tiny.VAE, *a, **place), run_vae),
    "style_encoder": Model(lambda *a, **place: StyleEncoder(tiny.TRACK_ENCODER, *a, **place), run_encoder),
    "careless": Model(
        lambda operations, **place: Careless(operations, **place),
        lambda model, device, dtype: [model.inner(torch.ones(2, 4, device=device, dtype=dtype))],
    ),
}


def parameters_below(module: nn.Module) -> bool:
    return any(True for child in module.children() for _ in child.parameters())


def structure(model: nn.Module) -> dict[str, list[str]]:
    """What of a model ComfyUI could not stream."""
    owners = [(name, m) for name, m in model.named_modules() if list(m.parameters(recurse=False))]
    return {
        "buffers": [name for name, _ in model.named_buffers()],
        "raw_above_others": [name for name, m in owners if parameters_below(m)],
        "not_castable": [
            name for name, m in owners if not hasattr(m, "comfy_cast_weights") and not isinstance(m, Snake)
        ],
    }


def load(kind: Model, operations: str, card: torch.device, share: float) -> Any:
    """A patcher with `share` of its model's bytes on `card`."""
    layers, dtype = OPERATIONS[operations]
    model = kind.build(layers, device=CPU, dtype=dtype)
    tiny.init_weights(model)
    patcher = comfy.model_patcher.ModelPatcher(model, load_device=card, offload_device=CPU)
    # ComfyUI asks for a tenth of a byte where nothing fits, as 0 stands for everything.
    patcher.partially_load(card, extra_memory=max(share * patcher.model_size(), 0.1))
    return patcher


def look(kind: Model, operations: str, share: float, whole: list[Tensor]) -> dict[str, Any]:
    """Load a share of a model and use it: with a card for the devices, without for the numbers."""
    dtype = OPERATIONS[operations][1]
    patcher = load(kind, operations, CARD, share)
    owners = [m for m in patcher.model.modules() if list(m.parameters(recurse=False))]
    behind = [m for m in owners if any(not p.is_meta for p in m.parameters(recurse=False))]
    watch = Watch()
    failure = ""
    with watch:
        try:
            devices = {str(x.device) for x in kind.run(patcher.model, CARD, dtype)}
        except RuntimeError as error:
            devices, failure = set(), str(error)
    made = kind.run(load(kind, operations, CPU, share).model, CPU, dtype)
    return {
        "modules": len(owners),
        "behind": len(behind),
        "behind_not_streaming": sum(
            not getattr(m, "comfy_cast_weights", isinstance(m, Snake)) for m in behind
        ),
        "crossings": watch.crossings,
        "failure": failure,
        "devices": sorted(devices),
        "same": all(torch.equal(a, b) for a, b in zip(made, whole, strict=True)),
        "finite": all(bool(torch.isfinite(x).all()) for x in made),
    }


@torch.inference_mode()
def main() -> None:
    """Print the findings by model, layer classes and share, as JSON."""
    findings = {}
    for name, kind in MODELS.items():
        for operations, (layers, dtype) in OPERATIONS.items():
            if ONLY.get(operations, name) != name:
                continue
            whole = kind.run(load(kind, operations, CPU, ALL).model, CPU, dtype)
            shares = {str(share): look(kind, operations, share, whole) for share in (*SHARES, ALL)}
            model = kind.build(layers, device=CPU, dtype=dtype)
            size = load(kind, operations, CPU, ALL).model_size()
            findings[f"{name} {operations}"] = {
                "structure": structure(model),
                "shares": shares,
                "bytes": size,
            }
    sys.stdout.write(json.dumps(findings))


if __name__ == "__main__":
    main()
