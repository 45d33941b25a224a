"""What a bug report wants to know: versions, device, files and what fits. No network, no whole paths."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable
from importlib import metadata

import comfy.model_management as mm
import torch
from comfy.cli_args import args

from ...levo import VERSION
from ...levo.files.damage import printable
from ...levo.kinds import Kind
from ...levo.layers.attention import flash_package
from ...levo.memory import Room
from . import fits, folders

MISSING = "not installed"
PACKAGES = ("comfyui-frontend-package", "huggingface_hub", "safetensors", "tokenizers", "demucs-infer")
KINDS = {  # what a file is of -> which input of LeVo Download Models has it; "" for none
    Kind.LELM: "lelm",
    Kind.RENDERER: "renderer",
    Kind.VAE: "vae",
    Kind.MIXED_ENCODER: "style_encoder",
    Kind.SEPARATOR: "separator",
    Kind.PROMPT_LIBRARY: "styles",
    Kind.STYLE: "",
}
NEEDED = (Kind.LELM, Kind.RENDERER, Kind.VAE)  # for any song


def report(card_gib: float, takes: int) -> str:
    """Versions, device, files, and what fits a card.

    Args:
        card_gib: of another card; 0 for this machine's device.
        takes: composed at once.
    """
    sections = {
        "Versions": versions(),
        "Device": device(),
        "Files": files(),
        "What fits": room_lines(fits.room(card_gib), takes),
    }
    return "\n\n".join("\n".join([f"{name}:", *section]) for name, section in sections.items())


def versions() -> list[str]:
    """A line for each program and package that matters."""
    system = f"{platform.system()} {platform.machine()}"
    built = torch.version.cuda and f"CUDA {torch.version.cuda}"
    built = built or (torch.version.hip and f"ROCm {torch.version.hip}") or "no CUDA"
    return [
        f"ComfyUI-LeVo {VERSION}",
        f"ComfyUI {_answer(_comfyui)}, Python {platform.python_version()} on {system}",
        f"torch {torch.__version__} ({built})",
        f"flash-attn: {_answer(_flash)}",
        f"Triton: {_first('triton', 'triton-windows')}",
        f"comfy_kitchen: {_first('comfy-kitchen')}",
        f"comfy_aimdo: {_first('comfy-aimdo')}",
        f"dynamic VRAM: {'on' if _answer(_dynamic) == 'True' else 'off'}",
        f"CUDA graphs: {'turned off' if getattr(args, 'disable_cuda_graphs', False) else 'allowed'}",
        *(f"{package}: {_first(package)}" for package in PACKAGES),
    ]


def device() -> list[str]:
    """The device that computes, its memory and the computer's."""
    where, cpu = mm.get_torch_device(), torch.device("cpu")
    described = [f"{mm.get_torch_device_name(where)}"]
    if where.type == "cuda":
        major, minor = torch.cuda.get_device_capability(where)
        described.append(f"compute capability {major}.{minor}")
        described.append(f"memory {_memory(where)}")
    return [*described, f"RAM {_memory(cpu)}"]


def files() -> list[str]:
    """Files of each kind, by their names below the folders of models, and kinds that are missing."""
    present, missing = [], []
    for kind, download in KINDS.items():
        by_label = folders.files_by_label(kind)
        present += [f"{kind}: {label}, {folders.name_of(path)}" for label, path in by_label.items()]
        if not by_label and download:
            more = "needed for every song" if kind in NEEDED else "optional"
            missing.append(f"missing, {more}: {kind} ({download} of LeVo Download Models)")
    return [printable(line) for line in [*present, *missing]]


def room_lines(where: Room, takes: int) -> list[str]:
    """What fits a device: the LeLM files, the releases, renderer and VAE, and the best choice."""
    yours, released = fits.yours(where, takes), fits.released(where, takes)
    your_names = {fit.name for fit in yours}
    room_text = [f"{fits.described(where)}, {'one take' if takes == 1 else f'{takes} takes at once'}"]
    room_text += fits.lines([*yours, *(fit for fit in released if fit.name not in your_names)])
    for kind in fits.PARTS:
        room_text += [f"{kind}: {fits.part_line(fit)}" for fit in fits.one_part(kind, where, takes)]
    if yours:
        room_text.append(f"of your files: {fits.advice(yours)}")
    return [printable(line) for line in [*room_text, f"of the releases: {fits.advice(released)}"]]


def _memory(where: torch.device) -> str:
    total, free = (int(ask(where)) for ask in (mm.get_total_memory, mm.get_free_memory))
    return f"{total / fits.GIB:.1f} GiB, {free / fits.GIB:.1f} GiB free"


def _comfyui() -> str:
    return importlib.import_module("comfyui_version").__version__


def _dynamic() -> str:
    return str(bool(importlib.import_module("comfy.memory_management").aimdo_enabled))


def _flash() -> str:
    version = _first("flash-attn", "flash_attn")
    if version == MISSING:
        return version
    return version if flash_package() else f"{version}, which does not work here"


def _first(*packages: str) -> str:
    """The version of the first package that is installed."""
    for package in packages:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return MISSING


def _answer(ask: Callable[[], str]) -> str:
    """What can be told, by hosts of other versions too."""
    try:
        return ask()
    except Exception as error:
        return f"unknown ({type(error).__name__})"
