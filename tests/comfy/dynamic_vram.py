"""Composes with weights in pages that come and go, as under dynamic VRAM, and prints what happened.

Run by test_comfy_dynamic_vram.py in a process of its own, because it imports ComfyUI. There is no card:
`Pages` behaves as comfy_aimdo.model_vbar does, and a layer asks for its pages before it computes, as
ComfyUI's layers do; tests/support/cuda_stand_in.py takes the place of CUDA graphs.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import pytest
import torch
from comfy.cli_args import args
from levo_pack.levo import tiny
from levo_pack.levo.config import LelmConfig, Sampling
from levo_pack.levo.lelm.compose import Execution, compose
from levo_pack.levo.lelm.conditions import Conditions, prepare
from levo_pack.levo.lelm.model import LeLM, Run, in_turn
from levo_pack.levo.text.tokenizer import Tokenizer
from levo_pack.nodes.host import graphs
from levo_pack.nodes.sockets import LoadedLelm
from support.cuda_stand_in import Cuda
from support.pack import tokenizer_dir
from torch import nn

PAGE = 4_096  # bytes
LARGE = 1_024  # bytes of weights from which they lie in pages
FRAMES = 14


@dataclass
class Pages:
    """Pages of an address range: each is there or not, and has a new number each time it comes."""

    count: int = 0
    there: set[int] = field(default_factory=set)
    numbers: dict[int, int] = field(default_factory=dict)
    pins: dict[int, int] = field(default_factory=dict)
    room: int = 1 << 30  # pages that fit

    def vbar_fault(self, place: tuple[Any, int, int]) -> Any:
        pages = _pages(place)
        if max(pages) >= self.room:
            return None
        for page in pages:
            if page not in self.there:
                self.there.add(page)
                self.numbers[page] = self.numbers.get(page, 0) + 1
            self.pins[page] = self.pins.get(page, 0) + 1
        return (ctypes.c_uint32 * (len(pages) + 2))(*(self.numbers[page] for page in pages))

    def vbar_unpin(self, place: tuple[Any, int, int]) -> None:
        for page in _pages(place):
            self.pins[page] -= 1

    def vbar_signature_compare(self, one: Any, other: Any) -> bool:
        return one is not None and other is not None and bytes(one) == bytes(other)

    def evict(self, pages: set[int]) -> None:
        """Take pages away; what is pinned stays."""
        self.there -= {page for page in pages if not self.pins.get(page)}


def _pages(place: tuple[Any, int, int]) -> range:
    _, at, size = place
    return range(at // PAGE, -(-(at + size) // PAGE))


class Paged:
    """A model whose large weights lie in pages: what ComfyUI's patcher and layers do about them."""

    def __init__(self, pages: Pages):
        self.model, self.pages = LeLM(CONFIG, dtype=torch.float64), pages
        tiny.init_weights(self.model)
        self.uploads, at = 0, 0
        units, last = self.model.get_dynamic_vram__units()
        for unit in [*units, *last]:
            for root in unit if isinstance(unit, list) else [unit]:
                for layer in root.modules():
                    at = self._place(layer, at)

    def _place(self, layer: nn.Module, at: int) -> int:
        weights = {name: p for name, p in layer._parameters.items() if p is not None}
        size = sum(p.nbytes for p in weights.values())
        if size < LARGE:
            return at
        layer._v, layer._v_signature = (self, at, size), None
        layer.in_ram = {name: p.detach().clone() for name, p in weights.items()}
        for parameter in weights.values():
            parameter.data = torch.full_like(parameter, torch.nan)
        layer.register_forward_pre_hook(self._bring)
        return at + size

    def _bring(self, layer: nn.Module, _inputs: Any) -> None:
        signature = self.pages.vbar_fault(layer._v)
        if signature is None:  # for one use, elsewhere
            self._fill(layer)
            layer._v_signature = None
            return
        if not self.pages.vbar_signature_compare(signature, layer._v_signature):
            self._fill(layer)
            layer._v_signature = signature
        self.pages.vbar_unpin(layer._v)

    def _fill(self, layer: nn.Module) -> None:
        self.uploads += 1
        for name, weights in layer.in_ram.items():
            layer._parameters[name].data = weights.clone()

    def replace_small(self) -> None:
        """As when ComfyUI loads the model anew: small weights become other tensors."""
        for layer in self.model.modules():
            if not hasattr(layer, "_v"):
                for name, parameter in list(layer._parameters.items()):
                    if parameter is not None:
                        old = parameter.data
                        layer._parameters[name] = nn.Parameter(old.clone(), requires_grad=False)
                        old.fill_(torch.nan)

    def evict(self, layers: Callable[[int], bool]) -> None:
        """Take the pages of some layers away, by their numbers; what is read there is not a number."""
        paged = [layer for layer in self.model.modules() if hasattr(layer, "_v")]
        gone = {page for n, layer in enumerate(paged) if layers(n) for page in _pages(layer._v)}
        self.pages.evict(gone)
        for layer in paged:
            if not self.pages.there.issuperset(_pages(layer._v)):
                for name in layer.in_ram:
                    layer._parameters[name].data.fill_(torch.nan)


CONFIG = replace(tiny.LELM, lyric_length=6, style_length=4, delays=(0, 3, 3))
LONG = replace(CONFIG, lyric_length=246)  # caches are read further during the song


def conditions_of(config: LelmConfig) -> Conditions:
    tokenizer = Tokenizer(tokenizer_dir(), "v2")
    return prepare("[verse] hi.", "[Musicality-very-high], pop", None, config, tokenizer)


def plain(config: LelmConfig, execution: Execution = Execution()) -> list[int]:
    """The song of a model whose weights are where they are."""
    model = LeLM(config, dtype=torch.float64)
    tiny.init_weights(model)
    song = compose(model, conditions_of(config), FRAMES, Sampling(), [3], execution=execution)[0]
    return song.codes.flatten().tolist()


def composed(events: dict[int, Callable[[Paged], None]], room: int | None = None) -> dict[str, Any]:
    """Compose while something happens after some steps; only the first `room` per cent of pages fit."""
    pages = Pages()
    paged = Paged(pages)
    last = max(max(_pages(layer._v)) for layer in paged.model.modules() if hasattr(layer, "_v"))
    if room is not None:
        pages.room = last * room // 100

    def on_step(done: int, total: int) -> None:
        if done in events:
            events[done](paged)

    with pytest.MonkeyPatch.context() as patch:
        cuda = Cuda().install(patch)
        residency = graphs.PagedWeights(paged.model, pages)
        asked, how = conditions_of(CONFIG), Execution(residency)
        song = compose(paged.model, asked, FRAMES, Sampling(), [3], execution=how, on_step=on_step)[0]
    return {
        "codes": song.codes.flatten().tolist(),
        "captures": cuda.events.count("capture"),
        "replays": cuda.events.count("replay"),
        "away": residency.away,
        "uploads": paged.uploads,
        "pinned": sum(pages.pins.values()),
        "alive": len(cuda.alive),
        "steps": song.steps,
    }


EVENTS: dict[str, dict[int, Callable[[Paged], None]]] = {
    "nothing": {},
    "one layer goes": {6: lambda paged: paged.evict(lambda n: n == 9)},
    "all go": {6: lambda paged: paged.evict(lambda n: True), 11: lambda paged: paged.evict(lambda n: True)},
    "some go at every step": {
        n: lambda paged, n=n: paged.evict(lambda k: k % 3 == n % 3) for n in range(99)
    },
    "a table of the conditions goes": {6: lambda paged: paged.evict(lambda n: n == 2)},
    "small weights are replaced": {7: Paged.replace_small},
}


class Prefetch(ModuleType):
    """comfy.model_prefetch as far as it is used: notes what it is asked, and runs blocks."""

    def __init__(self, queue: list | None):
        super().__init__("comfy.model_prefetch")
        self.queue, self.calls = queue, []

    def make_prefetch_queue(self, queue: list, device: Any, options: dict[str, Any]) -> list | None:
        self.calls.append(("queue", len(queue), str(device), options))
        return self.queue

    def prefetch_queue_pop(self, queue, device, module, dtype=None, core=None, enable_graph=False):
        self.calls.append(("pop", None if module is None else type(module).__name__, enable_graph))
        if core is not None:
            core()

    def cleanup_prefetch_queues(self) -> None:
        self.calls.append(("cleanup",))


def prefetched(queue: list | None) -> dict[str, Any]:
    """Compose with weights that never all fit, by ComfyUI's prefetch queue."""
    prefetch = Prefetch(queue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "comfy.model_prefetch", prefetch)
        patch.setattr(sys.modules["comfy"], "model_prefetch", prefetch, raising=False)
        blocks = graphs.prefetching(torch.device("cpu"), torch.float64, True)
        codes = plain(LONG, Execution(run=Run(blocks=blocks)))
    return {"codes": codes, "calls": prefetch.calls}


class Patcher:
    """ComfyUI's, of a model of which a share is on a device."""

    def __init__(self, device: str, share: float, dynamic: bool):
        self.model, self.load_device, self._share = PAGED_MODEL, torch.device(device), share
        self.is_dynamic = lambda: dynamic

    def model_size(self) -> int:
        return 100

    def loaded_size(self) -> int:
        return round(100 * self._share)


PAGED_MODEL = LeLM(CONFIG, device="meta")


def chosen(device: str = "cuda", share: float = 1.0, dynamic: bool = False, **how: Any) -> list[str]:
    """What runs the steps of a song: what is asked for weights, what runs blocks, and what each of them."""
    settings = {
        "cuda_graph": True,
        "frames": 5_000,
        "compile": "auto",
        "card": (9, 0),
        "disabled": False,
    } | how
    loaded = LoadedLelm(
        Patcher(device, share, dynamic), CONFIG, None, torch.float16, None, settings["compile"], False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(args, "disable_cuda_graphs", settings["disabled"], raising=False)
        patch.setattr(torch.cuda, "get_device_capability", lambda device: settings["card"])
        patch.setattr(graphs, "_pages_module", Pages)
        patch.setattr(graphs, "prefetching", lambda device, dtype, graph: f"prefetching, graph {graph}")
        made = graphs.execution(loaded, settings["cuda_graph"], settings["frames"])
    name = {in_turn: "in turn"}.get(made.run.blocks, made.run.blocks)
    return [type(made.residency).__name__, name, getattr(made.run.block, "__name__", "compiled")]


@torch.inference_mode()
def main() -> None:
    """Print the findings, as JSON."""
    torch.set_num_threads(1)
    findings = {name: composed(events) for name, events in EVENTS.items()}
    findings |= {f"{room} % fit": composed({}, room) for room in (0, 10, 50)}
    findings["plain"], findings["plain, long"] = plain(CONFIG), plain(LONG)
    findings["prefetched"] = prefetched([])
    findings["not prefetched"] = prefetched(None)
    findings["chosen"] = {
        "all there": chosen(),
        "half there": chosen(share=0.5),
        "dynamic": chosen(dynamic=True, share=0.0),
        "a CPU": chosen("cpu"),
        "graphs off": chosen(cuda_graph=False),
        "graphs off, dynamic": chosen(cuda_graph=False, dynamic=True),
        "graphs off in ComfyUI": chosen(disabled=True),
        "a short song": chosen(frames=700),
        "an old card": chosen(card=(6, 1)),
        "compiling off": chosen(compile="off"),
        "compiling on": chosen("cpu", compile="on", frames=1),
    }
    sys.stdout.write(json.dumps(findings))


if __name__ == "__main__":
    main()
