"""What fits the device of this machine, in words, before anything is loaded: for tooltips and reports.

How many bytes models take is levo/memory.py's; which files there are is folders'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfy.model_management as mm

from ...levo.config import RELEASED_CONFIGS, LelmConfig, RendererConfig, VaeConfig
from ...levo.files.checkpoint import open_checkpoint
from ...levo.files.listing import State, states
from ...levo.kinds import Kind
from ...levo.layers import fbgemm
from ...levo.memory import FITS, SHORT, STREAMS, Fit, Room, best_of, verdict, weight_bytes, what_fits
from ...levo.text.status import clock
from ..sockets import LoadedLelm
from . import folders, memory

log = logging.getLogger(__name__)

GIB = 1 << 30
COMPOSING = ("fp16", "int8")  # formats of LeLM, the finer first; bf16 takes what fp16 does
COARSE = ("int4",)  # rounds far more: better than nothing, but not than a smaller model
OFFERED = ("v2-large", "v2-medium")  # to who has no file yet
PARTS = {Kind.RENDERER: RendererConfig(), Kind.VAE: VaeConfig()}
IN_A_TOOLTIP = 4  # models


def room(card_gib: float = 0.0) -> Room:
    """The memory of this machine's device, or of another card of this size."""
    device = mm.get_torch_device()
    kept, least = int(mm.extra_reserved_memory()), int(mm.minimum_inference_memory())
    if card_gib:
        return Room(round(card_gib * GIB), kept, least)
    on_cpu = mm.is_device_cpu(device)
    total = int(mm.get_total_memory(device))
    return Room(total, kept, least, device.type, packed=on_cpu and fbgemm.is_available())


def hint(kind: Kind) -> str:
    """What the tooltip of a loader says; "" for parts that are small, and where it cannot be told."""
    return _safe(lambda: _lelm_hint() if kind == Kind.LELM else _part_hint(kind))


def download_hint() -> str:
    """What the tooltip of who downloads says of the releases; see `hint`."""
    return _safe(lambda: f"{_here(room())} {advice(released(room()))}")


def _safe(tell: Callable[[], str]) -> str:
    try:
        return f" {tell()}".rstrip()
    except Exception as error:  # of a driver, say: no node may be missing for a tooltip
        log.debug("LeVo cannot tell what fits: %s", error)
        return ""


def _lelm_hint() -> str:
    where = room()
    fits = yours(where) or released(where)
    shown = list(dict.fromkeys(fit.name for fit in fits))[:IN_A_TOOLTIP]
    fits_text = "; ".join(lines(fit for fit in fits if fit.name in shown))
    return f"{_here(where)} {fits_text}. {advice(fits)}"


def _part_hint(kind: Kind) -> str:
    return "".join(f"{_here(room())} {part_line(fit)}." for fit in one_part(kind, room()))


def _here(where: Room) -> str:
    return f"On this machine ({described(where)}):"


def yours(where: Room, takes: int = 1) -> list[Fit]:
    """How the LeLM files that are there fit, the preferred ones first."""
    configs = {name: config for name, config in _lelm_configs().items() if config is not None}
    return _in_all_formats(configs, where, takes)


def released(where: Room, takes: int = 1) -> list[Fit]:
    """How the releases that a newcomer chooses from would fit."""
    return _in_all_formats({name: RELEASED_CONFIGS[name] for name in OFFERED}, where, takes)


def _in_all_formats(models: Mapping[str, LelmConfig], where: Room, takes: int) -> list[Fit]:
    """The larger models first; on a CPU, where even the small ones take hours, the smaller ones."""

    def rank(model: tuple[str, LelmConfig]) -> int:
        return weight_bytes(model[1], COMPOSING[0]) * (1 if where.kind == "cpu" else -1)

    models = dict(sorted(models.items(), key=rank))
    return [fit for numbers in (COMPOSING, COARSE) for fit in what_fits(models, numbers, where, takes)]


def one_part(kind: Kind, where: Room, takes: int = 1) -> list[Fit]:
    """How the renderer or the VAE fits, as its loader's `auto` loads it; nothing of other kinds."""
    number = "fp16" if kind == Kind.RENDERER and where.kind == "cuda" else "fp32"
    models: dict[str, Any] = {str(kind): PARTS[kind]} if kind in PARTS else {}
    return what_fits(models, [number], where, takes)


def lines(fits: Iterable[Fit]) -> list[str]:
    """A line for each model and format; smaller formats only where a larger one does not fit."""
    by_model: dict[str, list[Fit]] = {}
    for fit in fits:
        known = by_model.setdefault(fit.name, [])
        if not known or known[-1].verdicts[fit.longest] != FITS:
            known.append(fit)
    return [_line(fit) for known in by_model.values() for fit in known]


def _line(fit: Fit) -> str:
    songs = ", ".join(
        f"{clock(seconds)} with {_gb(fit.run_sizes[seconds])} more {verdict}"
        for seconds, verdict in fit.verdicts.items()
    )
    return f"{fit.name} as {fit.number}: {_gb(fit.weights)} of weights, {songs}"


def part_line(fit: Fit) -> str:
    """What is said of a part whose run takes the same for every song."""
    verdict = fit.verdicts[fit.longest]
    run = _gb(fit.run_sizes[SHORT])
    return f"{_gb(fit.weights)} of weights as {fit.number} and {run} beside them: {verdict}"


def advice(fits: Iterable[Fit]) -> str:
    """The best choice, in a sentence."""
    best = best_of(fits)
    if best is None:
        return "No LeLM fits, not even streamed: compose on the CPU, or on another machine."
    what = f"Best is {best.name} with dtype {best.number}"
    if best.verdicts[best.longest] == FITS:
        return f"{what}, whose longest song fits."
    shortest, verdict = next(iter(best.verdicts.items()))
    if verdict == FITS:
        return f"{what}: songs of {clock(shortest)} fit, longer ones stream or do not fit."
    return f"{what}, which streams from RAM and is slow; lower max_seconds."


def shortage(lelm: LoadedLelm, run_size: int) -> str:
    """What a node says of a LeLM that was placed and streams its weights, with what to do; "" otherwise.

    Args:
        lelm: on its device, as far as there is room.
        run_size: bytes that its run takes beside the weights.
    """
    where, weights = room(), lelm.patcher.model_size()
    if where.kind == "cpu" or memory.is_resident(lelm):
        return ""
    # What brings weights when they are used does not say beforehand how many of them find room.
    if memory.is_dynamic(lelm.patcher) and verdict(weights, run_size, where) != STREAMS:
        return ""
    sizes = {number: weight_bytes(lelm.config, number) for number in (*COMPOSING, *COARSE)}
    small = (n for n, size in sizes.items() if size < weights and verdict(size, run_size, where) == FITS)
    advice = next(
        (f"choose dtype {n} in LeVo Load LeLM, which fits" for n in small), "compose a shorter song"
    )
    return (
        f"LeLM does not fit {described(where)} with this song: {_gb(weights)} of weights and "
        f"{_gb(run_size)} more. Weights stream from RAM at every step, which is slow; {advice}."
    )


def described(where: Room) -> str:
    """The memory that is meant."""
    kind = "RAM" if where.kind == "cpu" else "a card"
    return f"{kind} of {where.total / GIB:.1f} GiB"


def _lelm_configs() -> dict[str, LelmConfig | None]:
    labels = folders.files_by_label(Kind.LELM)
    return {folders.SIZE.sub("", label): _config(path, states(path)) for label, path in labels.items()}


@lru_cache(1024)
def _config(path: Path, state: State) -> LelmConfig | None:
    """Config of a LeLM file; None where it cannot be told. `state` is of the file, as it was read."""
    try:
        return open_checkpoint(path).config(Kind.LELM)
    except Exception:  # the loader says what is wrong with it
        return None


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
