"""What number formats of LeLM cost on the golden models: `python tests/bench/formats.py [formats]`.

How far logits are from those of fp32, with the same codes given, and how many greedy codes stay the same.
The golden models are small and their weights random: they amplify rounding, and near ties are everywhere.
Their rows are shorter than a group of int4 or a block of GGUF, which zeros fill up. GGUF is rounded as
tests/support/kquants.py does, which is simpler than what published files were made with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import support.pack  # noqa: F401
import torch
from bench.table import show
from support import golden_outputs as golden
from support import kquants
from support.rounded_models import CastingLayers, logits_of_fixed
from torch import Tensor, nn
from torch.nn import functional as F

from levo.layers import fp8, quantised, weights
from levo.layers.choices import TABLE
from levo.layers.int4 import Int4Linear
from levo.layers.int8 import Int8Linear
from levo.lelm.compose import Execution
from levo.lelm.model import LeLM

STEPS = 16  # whose logits are compared

Made = Callable[[LeLM], LeLM]


@dataclass(frozen=True)
class Format:
    """How a model is stored, and its cache."""

    made: Made
    small_cache: bool = False


def rounded(dtype: torch.dtype) -> Made:
    """Weights rounded to a dtype and computed in float32."""

    def make(model: LeLM) -> LeLM:
        other = LeLM(model.config)
        weights.assign(other, ((n, t.to(dtype).float()) for n, t in model.state_dict().items()))
        return other

    return make


def with_layers(operations: object) -> Made:
    """The same weights in layers of another kind."""

    def make(model: LeLM) -> LeLM:
        other = LeLM(model.config, operations)
        weights.assign(other, model.state_dict().items())
        return other

    return make


def gguf(kind: str) -> Made:
    """Matrices rounded to a type of GGUF; Q4_K_M keeps some in Q6_K."""

    def floats(name: str, tensor: Tensor) -> Tensor:
        if tensor.ndim != 2:
            return tensor
        if kind != "Q4_K_M":
            return in_blocks(tensor, kind)
        if name.endswith("qkv.weight"):
            *most, value = tensor.chunk(3)
            return torch.cat([*(in_blocks(part, "Q4_K") for part in most), in_blocks(value, "Q6_K")])
        return in_blocks(tensor, "Q4_K" if name.endswith("gate_up.weight") else "Q6_K")

    def make(model: LeLM) -> LeLM:
        other = LeLM(model.config)
        weights.assign(other, ((name, floats(name, t)) for name, t in model.state_dict().items()))
        return other

    return make


def in_blocks(matrix: Tensor, kind: str) -> Tensor:
    """A matrix as blocks of a type stand for it."""
    width = matrix.shape[1]
    padded = F.pad(matrix, (0, -width % kquants.SIZES[kind]))
    return torch.from_numpy(kquants.quantise(padded.numpy(), kind)[1])[:, :width].clone()


def unbiased(width_in: int, width_out: int, device: object = None) -> nn.Module:
    """A layer as it is."""
    return nn.Linear(width_in, width_out, bias=False, device=device)


FORMATS = {
    "fp32": Format(lambda model: model),
    "fp16": Format(rounded(torch.float16)),
    "bf16": Format(rounded(torch.bfloat16)),
    "int8": Format(with_layers(quantised.operations(nn, Int8Linear, TABLE))),
    "fp8_e4m3fn": Format(with_layers(fp8.operations(CastingLayers, biased=False))),
    "int4": Format(with_layers(quantised.operations(nn, Int4Linear, TABLE))),
    "fp32, int8 tables": Format(with_layers(quantised.operations(nn, unbiased, TABLE))),
    "fp32, int8 cache": Format(lambda model: model, small_cache=True),
} | {f"GGUF {kind}": Format(gguf(kind)) for kind in ("Q8_0", "Q6_K", "Q4_K_M")}


@torch.inference_mode()
def main() -> None:
    """Print a row for each format: the range over all golden models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", help="; ".join(FORMATS), default=[*FORMATS])
    asked = parser.parse_args().formats
    errors: dict[str, list[float]] = {name: [] for name in asked}
    equal: dict[str, list[float]] = {name: [] for name in asked}
    for path in sorted(golden.GOLDEN.glob("lelm_*.safetensors")):
        file = golden.GoldenFile(path)
        plain = golden.build_lelm(file, golden.lelm_config(file.meta))
        exact = logits(file, plain, False)
        (song,) = golden.sing(file, plain)
        for name in asked:
            form = FORMATS[name]
            model = form.made(plain)
            error = relative(logits(file, model, form.small_cache), exact)
            if error != error:  # a number is too large for fp8; loaders refuse such a file
                print(f"{path.stem} {name}: does not fit", flush=True)
                continue
            (other,) = golden.sing(file, model, execution=Execution(small_cache=form.small_cache))
            errors[name].append(error)
            equal[name].append(same(other.raw, song.raw))
            print(f"{path.stem} {name}: {error:.4f}, {equal[name][-1]:.3f}", flush=True)
    rows = [[name, spread(errors[name], 100), spread(equal[name], 100)] for name in asked]
    show("LeLM on the golden models", ["format", "error of logits, %", "greedy codes as fp32's, %"], rows)


def logits(file: golden.GoldenFile, model: LeLM, small_cache: bool) -> Tensor:
    """[STEPS, 2, 3, CODES + 1] of steps after the prefill, with the golden codes given."""
    conditions, _ = golden.song_conditions(file, model.config)
    codes = file.tensors["tokens"][..., : STEPS + 1].expand(2, -1, -1)
    return logits_of_fixed(model, conditions, codes, small_cache)


def relative(made: Tensor, exact: Tensor) -> float:
    """The error, of the deviation."""
    return ((made - exact).norm() / exact.norm()).item()


def same(ours: Tensor, theirs: Tensor) -> float:
    """The share of codes that are the same, of the longer song."""
    shared = min(ours.shape[-1], theirs.shape[-1])
    matching = (ours[..., :shared] == theirs[..., :shared]).sum().item()
    return matching / max(ours.numel(), theirs.numel())


def spread(values: list[float], factor: float) -> str:
    """The least and the largest of some."""
    return f"{factor * min(values):.3g} to {factor * max(values):.3g}"


if __name__ == "__main__":
    main()
