"""A pack that puts on any socket what no node does: odd sounds, latents and codes, and broken models."""

from __future__ import annotations

import copy
import dataclasses
import time
from math import inf, nan

import torch

ANY = type("Any", (str,), {"__ne__": lambda self, other: False})("*")
TONE = 0.3 * torch.sin(torch.arange(48_000) / 7).expand(1, 2, -1)
LATENTS = torch.randn(1, 64, 30, generator=torch.Generator().manual_seed(1))


def audio(waveform=TONE, rate=48_000):
    return {"waveform": waveform, "sample_rate": rate}


def with_one(numbers, value):
    numbers = numbers.clone()
    numbers.view(-1)[100] = value
    return numbers


VALUES = {
    "None": None,
    "list": [1, 2],
    "text": "song.wav",
    "NaN": nan,
    "1e-320": 1e-320,
    "1e30": 1e30,
    "0": 0,
    "audio": audio(),
    "audio of a batch": audio(TONE.expand(2, -1, -1)),
    "audio of bf16": audio(TONE.bfloat16()),
    "audio with gradients": audio(TONE.clone().requires_grad_()),
    "audio of one sample": audio(TONE[..., :1]),
    "audio of every second sample": audio(TONE[:, :1, ::2], 24_000),
    "audio, left of what is interleaved": audio(TONE.mT.contiguous().mT[:, :1]),
    "audio, NaN": audio(with_one(TONE, nan)),
    "audio, infinite": audio(with_one(TONE, inf)),
    "audio, 2-D": audio(TONE[0]),
    "audio, int16": audio((TONE * 32_767).short()),
    "audio, complex": audio(TONE.to(torch.complex64)),
    "audio, empty": audio(TONE[..., :0]),
    "audio, 1 Hz": audio(rate=1),
    "audio, 999,999,937 Hz": audio(rate=999_999_937),
    "audio, negative rate": audio(rate=-48_000),
    "audio, no rate": {"waveform": TONE},
    "latent": {"samples": LATENTS},
    "latent, NaN": {"samples": with_one(LATENTS, nan)},
    "latent, int": {"samples": LATENTS.long()},
    "latent, 2-D": {"samples": LATENTS[0]},
    "latent, empty": {"samples": LATENTS[..., :0]},
}


class OddValue:
    """One of them."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "value", (ANY,)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": (list(VALUES),)}}

    def value(self, name):
        return (VALUES[name],)


class Pass:
    """Whatever it is given, as a switch or a reroute gives it on."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "on", (ANY,)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"of": (ANY,)}}

    def on(self, of):
        return (of,)


class OddTokens:
    """Tokens of which one field is what it should not be."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "change", (ANY,)
    FIELDS = {"lengths": None, "seeds": ("1",), "ended": 1, "request": None, "composer": "tiny"}

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"of": (ANY,), "field": (list(cls.FIELDS),)}}

    def change(self, of, field):
        return (dataclasses.replace(of, **{field: self.FIELDS[field]}),)


class OddCodes:
    """Tokens or a style with one wrong code."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "change", (ANY,)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"of": (ANY,), "code": ("STRING", {})}}

    def change(self, of, code):
        codes = of.codes.clone()
        if code == "float":
            return (dataclasses.replace(of, codes=codes.float()),)
        codes.view(-1)[5] = int(code)
        return (dataclasses.replace(of, codes=codes),)


class BrokenModel:
    """A model with one weight that is no number."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "break_", (ANY,)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": (ANY,), "part": ("STRING", {})}}

    @classmethod
    def IS_CHANGED(cls, **_):
        return time.monotonic()

    def break_(self, model, part):
        patcher = model.patcher.clone()
        patcher.model = copy.deepcopy(patcher.model)
        weight = next(weight for name, weight in patcher.model.named_parameters() if part in name)
        with torch.no_grad():
            weight.view(-1)[3] = nan
        return (dataclasses.replace(model, patcher=patcher),)


NODES = (OddValue, OddTokens, OddCodes, BrokenModel, Pass)
NODE_CLASS_MAPPINGS = {node.__name__: node for node in NODES}
