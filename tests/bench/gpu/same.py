"""Whether a song is the same whether its steps run as they are or as CUDA graphs."""

from __future__ import annotations

from dataclasses import replace

import torch
from bench.begun import random_conditions
from bench.gpu.report import Report
from bench.gpu.setting import MEDIUM, Setting
from bench.models import endless, few_bits_on_card, random_model, triton_kernel
from torch import Tensor

from levo.config import LelmConfig, Sampling
from levo.lelm.compose import Execution, compose
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
    report.add(f"{name}: graph as eager", agreement(codes(setting.graph()), eager), "of codes", least=1)
    if name.startswith("fp16"):
        compiled = codes(setting.graph(FusedBlocks()))
        report.add(f"{name}: compiled as eager", agreement(compiled, eager), "of codes")


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """The share of codes that are the same."""
    return (ours == theirs).double().mean().item()
