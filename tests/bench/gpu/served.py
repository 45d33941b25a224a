"""Composing in a real ComfyUI on the card: dynamic VRAM or static, all weights there or half left behind.

Needs what ComfyUI and tests/support/comfy_server.py import, and disk for a large model in three forms.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench.gpu.report import Report, clear
from bench.gpu.same import agreement
from bench.gpu.setting import LARGE, Setting
from bench.models import endless, few_bits_on_card, random_model
from torch import Tensor

from levo.config import FRAME_RATE
from levo.memory import compose_bytes

TESTS = Path(__file__).resolve().parents[2]
PROMPT = TESTS / "prompts" / "text_to_song.json"
COMPOSING = ("LeVoLoadLeLM", "LeVoLyrics", "LeVoDescription", "LeVoConditioning", "LeVoCompose")
STATIC = ("--disable-dynamic-vram",)
NEEDED = ("requests", "websocket", "safetensors")
FILES = {kind: f"large-{kind}.safetensors" for kind in ("fp16", "int8", "int4")}
SECONDS, SHORT, LEFT_BEHIND = 60, 4, 8  # of songs: timed, compared, and with half of the weights
LEAST_LEFT_BEHIND = 10  # steps a second; the bus of an H200 carries the other half 12 times a second
CONTEXT = 600_000_000  # bytes of the card that CUDA takes in a process
SPARE = 2_000_000_000  # bytes that stay free on the disk
RUN_SECONDS = 150
COMPOSED = re.compile(r"LeLM composed (\d+) steps on (\S+), ([\d.]+) steps a second")
TELLING = re.compile(r"LeLM|int8|VRAM|[Ll]oaded|fit|graph|compil|Error|WARNING")


@dataclass(frozen=True)
class Sung:
    """What a run of LeVo Compose gave."""

    pace: float  # steps a second, as the log says: with prefill and captures
    codes: Tensor


def run(report: Report, setting: Setting) -> None:
    """ComfyUI as it comes: with dynamic VRAM."""
    serve(report, setting, "stock", ())


def run_static(report: Report, setting: Setting) -> None:
    """ComfyUI without dynamic VRAM."""
    serve(report, setting, "static", STATIC)


def serve(report: Report, setting: Setting, name: str, arguments: tuple[str, ...]) -> None:
    """Write the models, then start a server with room for all weights, and one with room for half."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        report.skip("all", f"{', '.join(missing)} cannot be imported")
        return
    os.environ["COMFYUI_DIR"] = str(setting.comfyui)
    with tempfile.TemporaryDirectory(prefix="levo-check-") as folder:
        base = Path(folder)
        if not written(report, setting, base / "weights"):
            return
        with report.case(f"{name} server"), started(setting, base / name, arguments) as server:
            whole(report, server, name)
        left = (*arguments, "--reserve-vram", f"{reserve(setting):.2f}")
        name = f"{name}, half of the weights"
        with report.case(f"{name} server"), started(setting, base / name, left) as server:
            half(report, server, name)


def written(report: Report, setting: Setting, folder: Path) -> bool:
    """Write the large model with random weights, in all FILES; whether the disk has room for them."""
    from levo.files import converted
    from levo.kinds import Kind

    model = endless(random_model(setting.lelm[LARGE], setting.device, setting.dtype("fp16")))
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    free = shutil.disk_usage(folder.parent).free
    if free < 2 * size + SPARE:
        report.skip("all", f"{folder.parent} has {free / 1e9:.1f} GB free, of {2 * size / 1e9:.1f} needed")
        return False
    origin = converted.Provenance("random weights", "")
    for kind, file in FILES.items():
        kept = model if kind == "fp16" else few_bits_on_card(model, kind, None)
        converted.save(folder / file, kept, Kind.LELM, model.config, origin, None, lambda done, total: None)
    del model, kept
    clear()
    return True


@contextmanager
def started(setting: Setting, base: Path, arguments: tuple[str, ...]) -> Iterator[Any]:
    """ComfyUI with these arguments and the models beside `base`; on the card if there is one.

    The end of its log is printed where something fails.
    """
    from support.comfy_server import ComfyServer

    (base / "models").mkdir(parents=True)
    (base / "models" / "levo").symlink_to(base.parent / "weights", target_is_directory=True)
    packs = [Path(__file__).with_name("residency")]
    server = ComfyServer(base, more_packs=packs, arguments=arguments, on_cpu=setting.dry)
    try:
        with server:
            yield server
    except BaseException:
        print(server.log()[-4_000:], flush=True)
        raise


def whole(report: Report, server: Any, name: str) -> None:
    """Songs with all weights on the card."""
    with report.case(f"{name}: the tiny song"):
        finished(server, json.loads(PROMPT.read_text("utf-8")))
        report.add(f"{name}: the tiny song is sung", 1, "", least=1)
    with report.case(f"{name}: {SECONDS} s"):
        for number, what in enumerate(("with compiling", "again")):
            song = sing(report, server, {"dtype": "fp16"}, seed=number, max_seconds=SECONDS)
            report.add(f"{name}: {SECONDS} s, {what}", song.pace, "steps/s")
        tell_residency(report, server, name)
    with report.case(f"{name}: graphs"):
        load = {"dtype": "fp16", "compile": "off"}
        ways = {
            way: sing(report, server, load, seed=7, max_seconds=SHORT, cuda_graph=way == "graph")
            for way in ("graph", "eager")
        }
        for way, song in ways.items():
            report.add(f"{name}: {SHORT} s, {way}", song.pace, "steps/s")
        same = agreement(ways["graph"].codes, ways["eager"].codes)
        report.add(f"{name}: graph as eager", same, "of codes", least=1)
    for form in ("int8", "int4"):
        with report.case(f"{name}: {form}"):
            song = sing(report, server, {"dtype": form}, seed=1, max_seconds=SECONDS)
            report.add(f"{name}: {SECONDS} s, {form}", song.pace, "steps/s")


def half(report: Report, server: Any, name: str) -> None:
    """A song with room for about half of the weights."""
    song = sing(report, server, {"dtype": "fp16"}, seed=1, max_seconds=LEFT_BEHIND)
    report.add(f"{name}: {LEFT_BEHIND} s", song.pace, "steps/s", least=LEAST_LEFT_BEHIND)
    tell_residency(report, server, name)


def reserve(setting: Setting) -> float:
    """GiB that ComfyUI has to leave free so that about half of the weights fit beside a song."""
    if setting.dry:
        return 1.0
    config = setting.lelm[LARGE]
    steps_of = compose_bytes(config, LEFT_BEHIND * FRAME_RATE, 2)
    weights = sum(t.numel() * 2 for t in _empty(setting).state_dict().values())
    free, _ = torch.cuda.mem_get_info()
    return (free - CONTEXT - steps_of - weights / 2) / 2**30


def _empty(setting: Setting) -> torch.nn.Module:
    from levo.lelm.model import LeLM

    return LeLM(setting.lelm[LARGE], device="meta")


def sing(report: Report, server: Any, load: dict[str, Any], **compose: Any) -> Sung:
    """Run LeVo Compose on the large model; what it says of graphs and compiling is reported if it is bad.

    Args:
        report: of the part.
        server: that runs.
        load: inputs of LeVo Load LeLM.
        compose: inputs of LeVo Compose.
    """
    from safetensors.torch import load_file

    prompt = {
        number: node
        for number, node in json.loads(PROMPT.read_text("utf-8")).items()
        if node["class_type"] in COMPOSING
    }
    number = {node["class_type"]: number for number, node in prompt.items()}
    prompt[number["LeVoLoadLeLM"]]["inputs"] |= {"checkpoint": FILES[load["dtype"]], **load}
    prompt[number["LeVoCompose"]]["inputs"] |= compose
    inputs = {"tokens": [number["LeVoCompose"], 0], "filename_prefix": "tokens/check"}
    prompt["save"] = {"class_type": "LeVoSaveTokens", "inputs": inputs}
    before = len(server.log())
    outputs = finished(server, prompt)
    said = server.log()[before:]
    for line in filter(TELLING.search, said.splitlines()):
        print(f"    {line}", flush=True)
        if "LeLM runs without" in line:
            report.fail("steps", line)
    (entry,) = outputs["save"]["tokens"]
    return Sung(float(COMPOSED.search(said)[3]), load_file(server.output_file(entry))["codes"])


def finished(server: Any, prompt: dict[str, Any]) -> dict[str, Any]:
    """Outputs of a prompt that is run to its good end.

    Raises:
        RuntimeError: it has none; says why.
    """
    run = server.run(prompt, RUN_SECONDS)
    if run.status != "success":
        raise RuntimeError(run.error["exception_message"])
    return run.outputs


def tell_residency(report: Report, server: Any, name: str) -> None:
    """Report how much of LeLM is on the card after a song."""
    models = finished(server, {"1": {"class_type": "LevoResidency", "inputs": {}}})["1"]["models"]
    for kind, loaded, size in models:
        if kind == "LeLM":
            note = f"{loaded / 1e9:.2f} of {size / 1e9:.2f} GB"
            report.add(f"{name}: weights of LeLM on the card", loaded / size, "of all", note=note)
