"""LeLMs in full and in small number formats, and how far their logits are apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from levo import tiny
from levo.files import released
from levo.files.converted import Provenance
from levo.layers import fp8, quantised, weights
from levo.layers.int8 import Int8Embedding, Int8Linear
from levo.layers.quantised import QuantisedLinear
from levo.lelm.conditions import Conditions, prepare
from levo.lelm.kv_cache import capacity_for
from levo.lelm.model import LeLM
from support import golden_outputs as golden

ORIGIN = Provenance("SongGeneration-v2-medium/model.pt", "ab" * 32)
LAYOUT = released.lelm_layout(tiny.LELM)
MODELS = ["tiny", *sorted(path.stem for path in golden.GOLDEN.glob("lelm_*.safetensors"))]


class Casting(nn.Linear):
    """As ComfyUI's layers do: weights in the dtype of what they are multiplied with."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


class CastingLayers:
    Linear, Embedding, LayerNorm, RMSNorm = Casting, nn.Embedding, nn.LayerNorm, nn.RMSNorm


def fp8_lelm(dtype: torch.dtype = torch.float32, config=tiny.LELM) -> LeLM:
    return LeLM(config, fp8.operations(CastingLayers, biased=False), dtype=dtype)


def models(name: str, linear: type[QuantisedLinear] = Int8Linear) -> tuple[LeLM, LeLM, Tensor]:
    """A float model, its counterpart in few bits and codes [2, 3, T] to read."""
    if name == "tiny":
        plain, codes = LeLM(tiny.LELM), torch.arange(48).view(1, 3, 16) * 331
        tiny.init_weights(plain)
    else:
        file = golden.GoldenFile(golden.GOLDEN / f"{name}.safetensors")
        plain, codes = (
            golden.build_lelm(file, golden.lelm_config(file.meta)),
            file.tensors["tokens"][..., :16],
        )
    model = LeLM(plain.config, quantised.operations(nn, linear, Int8Embedding))
    weights.assign(model, plain.state_dict().items())
    return plain, model, codes.expand(2, -1, -1)


def some_conditions(model: LeLM) -> Conditions:
    """A short lyric and a tag, for any model."""
    tokenizer = golden.tokenizer(model.config.version)
    return prepare("[verse] hello there.", "[Musicality-very-high], pop", None, model.config, tokenizer)


def logits_of(model: LeLM, codes: Tensor) -> Tensor:
    """[T, 2, 3, CODES + 1]: after every code, which are given and not what the model would say."""
    prefix = model.condition(some_conditions(model))
    steps = codes.shape[2]
    caches = model.caches(2, model.config.prefix_length + steps, prefix.stage1)
    return torch.stack(
        [model(codes[..., t : t + 1], caches, None if t else prefix).clone() for t in range(steps)]
    )


def logits_of_fixed(model: LeLM, conditions: Conditions, codes: Tensor, small_cache: bool) -> Tensor:
    """[T - 1, 2, 3, CODES + 1]: as `logits_of`, by fixed caches and without the prefill's."""
    prefix = model.condition(conditions)
    known, steps = model.config.prefix_length + 1, codes.shape[-1]
    caches = model.caches(2, known, prefix.stage1)
    model(codes[..., :1], caches, prefix)
    fixed = tuple(cache.fixed(capacity_for(known + steps - 1), 1, small_cache) for cache in caches)
    logits = []
    for step in range(1, steps):
        for cache in fixed:
            cache.reach(known + step)
        logits.append(model(codes[..., step : step + 1], fixed).clone())
    return torch.stack(logits)
