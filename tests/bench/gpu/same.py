"""Whether a song is the same again, and whether its steps run as they are or as CUDA graphs.

Seen on an H200 (2026-11-27): a step and a prefill give the same bits again, captured or not, yet sampled
songs of this short model differ from one eager run to the next. The first step whose logits differ tells
where to look.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from bench.begun import random_conditions
from bench.gpu.report import Report
from bench.gpu.setting import MEDIUM, Setting
from bench.models import endless, few_bits_on_card, random_model, triton_kernel
from torch import Tensor

from levo.config import LelmConfig, Sampling
from levo.lelm.compose import ComposeRun, Execution, compose
from levo.lelm.fused import FusedBlocks
from levo.lelm.kv_cache import SPAN
from levo.lelm.model import LeLM

FRAMES, DELAY = 50, 10
BEFORE = 30  # steps until the cache is read further
SAMPLINGS = {"greedy": Sampling(temperature=0), "sampled": Sampling()}


def run(report: Report, setting: Setting) -> None:
    """Compose short songs in all ways and compare their codes."""
    config = short_song(setting.lelm[MEDIUM])
    plain = endless(random_model(config, setting.device, setting.dtype("fp16")))
    kernel = triton_kernel(setting.device)
    if kernel is None:
        report.skip("Triton", "there is none; int8 and int4 are multiplied by blocks")
    for kind in ("fp16", "int8", "int4"):
        model = plain if kind == "fp16" else few_bits_on_card(plain, kind, kernel)
        for takes in (1, 4):
            for sampling in SAMPLINGS:
                name = f"{kind}, {takes} take{'s' * (takes > 1)}, {sampling}"
                with report.case(name):
                    compare(report, setting, name, model, takes, SAMPLINGS[sampling])


def short_song(config: LelmConfig) -> LelmConfig:
    """A model of few layers whose song soon reads the next span of the cache."""
    others = config.prompt_length + config.style_length
    lyric = -(-config.prefix_length // SPAN) * SPAN - BEFORE - others
    return replace(config, layers=4, layers_sub=2, lyric_length=lyric, delays=(0, DELAY, DELAY))


def compare(
    report: Report, setting: Setting, name: str, model: LeLM, takes: int, sampling: Sampling
) -> None:
    """Compose in three ways; compiled blocks round differently, so theirs need not agree."""

    def codes(execution: Execution) -> Tensor:
        how = {"sampling": sampling, "seeds": range(takes), "device": setting.device}
        songs = compose(model, random_conditions(model.config), FRAMES, **how, execution=execution)
        return torch.cat([song.raw for song in songs])

    eager = codes(Execution())
    report.add(f"{name}: eager as eager", agreement(codes(Execution()), eager), "of codes", least=1)
    told = first_difference(*(logits(setting, model, takes, sampling) for _ in range(2)))
    report.add(f"{name}: steps until logits differ", told[0], "", note=told[1])
    report.add(f"{name}: graph as eager", agreement(codes(setting.graph()), eager), "of codes", least=1)
    if name.startswith("fp16"):
        compiled = codes(setting.graph(FusedBlocks()))
        report.add(f"{name}: compiled as eager", agreement(compiled, eager), "of codes")


def logits(setting: Setting, model: LeLM, takes: int, sampling: Sampling) -> list[Tensor]:
    """Logits [2 takes, 3, CODES + 1] of each step of a song that runs as it is."""
    made: list[Tensor] = []
    how = {"sampling": sampling, "seeds": range(takes), "device": setting.device}
    with ComposeRun(model, random_conditions(model.config), FRAMES, **how) as run:
        place = run._takes.append_step

        def append_step(step: Tensor) -> None:
            made.append(step.float().cpu())
            place(step)

        run._takes.append_step = append_step
        while run.step():
            pass
    return made


def first_difference(ours: list[Tensor], theirs: list[Tensor]) -> tuple[int, str]:
    """The first step whose logits differ, and in which streams by how much; all steps where none does."""
    for step, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        apart = (one - other).abs().amax(dim=(0, 2))
        if apart.any():
            return step, ", ".join(f"stream {k} by {far:.2g}" for k, far in enumerate(apart) if far)
    return min(len(ours), len(theirs)), "none differs"


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """The share of codes that are the same."""
    return (ours == theirs).double().mean().item()
