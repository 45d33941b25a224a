"""Odd sounds, latents, codes and settings on the sockets of all nodes that take such."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from math import nan
from typing import Any

import torch
from levo_pack.nodes import style_library

from attack.judge import Findings, Silent

NAN, INF = float("nan"), float("inf")
RATES = (0, -1, 1, 7, 999_999_937, 2**63, 44100.0, 44100.5, NAN, INF, True, None, "48000", [48000], 1e30)
SETTINGS = (NAN, INF, -INF, 1e30, -1e30, 1e-320, -1, 0, 10**9, 2**63, None, "x", [], True)
SHAPES = ((), (0,), (9,), (2, 9), (1, 1, 2, 9), (1, 0, 9), (1, 3, 9), (1, 2, 0), (0, 2, 9))
WIDE_INTS = (torch.uint8, torch.int16, torch.int32, torch.int64)


def main() -> None:
    """Give each odd value to each node that has a socket for it."""
    findings = Findings("numbers")
    for what, audio in sounds():
        for node, inputs in listeners().items():
            run = partial(_listened, node, audio, inputs)
            findings.attempt(f"{node} of {what}", run)
    for what, latent in latents():
        for node in ("LeVoDecode", "LeVoDecodeStems"):
            findings.attempt(f"{node} of {what}", partial(_decoded, node, latent))
    for what, tokens in songs():
        for node, inputs in renderers().items():
            findings.attempt(f"{node} of {what}", partial(nodes.run, node, tokens=tokens, **inputs))
    for what, thing in things():
        for node, socket, inputs in places():
            run = partial(nodes.run, node, **inputs | {socket: thing})
            findings.attempt(f"{node}, {what} as {socket}", run)
    for node, settings in tuned().items():
        for setting in settings:
            for value in SETTINGS:
                run = partial(_tuned, node, setting, value)
                findings.attempt(f"{node}, {setting} {value!r}", run)
    findings.report()


def listeners() -> dict[str, dict[str, Any]]:
    """Nodes that take AUDIO: the name of that input (None here) and of the others."""
    return {
        "LeVoFinishSong": {"audio": None, "normalise": True, "fade": "off"},
        "LeVoListen": {"mix": None},
        "LeVoMix": {"vocals": None},
        "LeVoSplitVocals": {"audio": None, "separator": nodes.tiny("Separator")},
        "LeVoStyleFromAudio": {
            "audio": None,
            "style_encoder": nodes.tiny("StyleEncoder"),
            "separator": nodes.tiny("Separator"),
        },
    }


def renderers() -> dict[str, dict[str, Any]]:
    """Nodes that take tokens, with their other inputs."""
    return {
        "LeVoRender": {"renderer": nodes.tiny("Renderer"), **nodes.RENDER},
        "LeVoRenderStems": {"renderer": nodes.tiny("Renderer"), "seed": 1, "steps": 1},
        "LeVoContinueSong": {"lelm": nodes.tiny("LeLM"), "seconds": 1.0, "seed": 1, "max_seconds": 2},
        "LeVoSaveTokens": {},
        "LeVoFinishSong": {"audio": _sound(torch.zeros(1, 2, 48000))},
        "LeVoListen": {},
    }


def places() -> list[tuple[str, str, dict[str, Any]]]:
    """Nodes, sockets of ours that they have, and their other inputs."""
    sound = _sound(torch.randn(1, 2, 480_000))
    rendering = {"tokens": nodes.tokens(), "seed": 1, "steps": 1, "renderer": nodes.tiny("Renderer")}
    styling = listeners()["LeVoStyleFromAudio"] | {"audio": sound}
    composing = nodes.COMPOSE | {"lelm": nodes.tiny("LeLM"), "conditioning": _conditioning()}
    going_on = composing | {"tokens": nodes.tokens(), "seconds": 0.4, "max_seconds": 2}
    decoding = {"vae": nodes.tiny("VAE"), "latent": nodes.latent()}
    saving = {"song": None, "audio": sound, "tokens": nodes.tokens()}
    sockets = {
        "LeVoCompose": (composing, ("lelm", "conditioning")),
        "LeVoContinueSong": (going_on, ("lelm", "conditioning", "tokens")),
        "LeVoRender": (
            rendering | {"track": "mix", "vae": nodes.tiny("VAE")},
            ("renderer", "vae", "style"),
        ),
        "LeVoRenderStems": (rendering | {"vae": nodes.tiny("VAE")}, ("renderer", "vae", "style")),
        "LeVoDecode": (decoding, ("vae",)),
        "LeVoSplitVocals": ({"audio": sound, "separator": None}, ("separator",)),
        "LeVoStyleFromAudio": (styling, ("style_encoder", "separator")),
        "LeVoConditioning": ({"lyrics": "[verse] la la"}, ("style",)),
        "LeVoSaveStyle": ({"name": "odd"}, ("style",)),
        "LeVoSaveCheckpoint": ({"name": "odd"}, ("model",)),
        "LeVoSaveSong": (saving, ("song", "tokens")),
    }
    return [(node, socket, inputs) for node, (inputs, names) in sockets.items() for socket in names]


def things() -> Iterator[tuple[str, Any]]:
    """What a switch or a reroute may put on a socket where something else belongs."""
    yield from ((repr(value), value) for value in (None, 3, nan, "text", [], [1], {}, (), object))
    yield "a sound", _sound(torch.zeros(1, 2, 100))
    yield "a tensor", torch.zeros(1, 3, 250)
    yield "a separator", nodes.tiny("Separator")
    yield "a style encoder without models", replace(nodes.tiny("StyleEncoder"), tracks=None, mixed=None)
    yield "a model of no config", replace(nodes.tiny("VAE"), config=None)
    yield "a style of no codes", replace(_style(), codes=None)
    yield "a style of a sound that is none", replace(_style(), vocals="x", accompaniment=torch.zeros(3))


@cache
def _style() -> Any:
    library = nodes.run("LeVoStyleFromLibrary", style=style_library.TINY)
    return library[0]


def tuned() -> dict[str, list[str]]:
    """Nodes and their numbers, which the API may set to anything."""
    composing = [
        "guidance",
        "temperature",
        "top_k",
        "top_p",
        "repetition_window",
        "takes",
        "max_seconds",
        "seed",
    ]
    finishing = ["silence_db", "fade_seconds", "loudness_lufs", "ceiling_db"]
    return {
        "LeVoCompose": composing,
        "LeVoRender": ["seed", "steps", "guidance"],
        "LeVoFinishSong": finishing,
        "LeVoMix": ["vocals_db"],
        "LeVoStyleFromAudio": ["start"],
        "LeVoContinueSong": ["take", "seconds", "seed"],
    }


def sounds() -> Iterator[tuple[str, Any]]:
    """Odd AUDIO."""
    noise = torch.randn(1, 2, 48000, generator=torch.Generator().manual_seed(1)) * 0.1
    for value in (
        None,
        [],
        {},
        "audio",
        3,
        noise,
        {"waveform": noise},
        {"sample_rate": 48000},
        (noise, 48),
    ):
        yield f"{type(value).__name__} {str(value)[:20]}", value
    for rate in RATES:
        yield f"rate {rate!r}", _sound(noise, rate)
    yield from ((what, _sound(waveform)) for what, waveform in _waveforms(noise))


def _waveforms(noise: torch.Tensor) -> Iterator[tuple[str, Any]]:
    for value in (None, "noise", [0.0] * 100, noise.numpy(), noise.to_sparse(), noise.to("meta")):
        yield f"waveform {type(value).__name__}", value
    for shape in SHAPES:
        yield f"shape {shape}", torch.zeros(shape)
    for length in (1, 2, 100):
        yield f"{length} samples", noise[..., :length]
    for dtype in (torch.bool, torch.complex64, *WIDE_INTS, torch.float64, torch.float16, torch.bfloat16):
        yield f"{dtype}", (noise * 100).to(dtype)
    yield "requires grad", noise.clone().requires_grad_()
    for value in (NAN, INF, -INF, 1e38):
        for at in (0, 47999, slice(None)):
            bad = noise.clone()
            bad[..., at] = value
            yield f"{value} at {at}", bad


def latents() -> Iterator[tuple[str, Any]]:
    """Odd LATENT."""
    good = nodes.latent()
    plain = torch.zeros(1, 64, 25)
    for value in (None, [], {}, plain, {"samples": None}, {"samples": [plain]}, {"samples": "x"}):
        yield f"{type(value).__name__} {str(value)[:20]}", value
    shapes = (
        (64, 25),
        (1, 64),
        (1, 4, 64, 25),
        (1, 63, 25),
        (1, 128, 25),
        (1, 64, 0),
        (0, 64, 25),
        (1, 0, 25),
    )
    for shape in shapes:
        yield f"shape {shape}", {"samples": torch.zeros(shape), "type": "audio"}
    for dtype in (torch.bool, torch.int64, torch.complex64, torch.float64, torch.bfloat16):
        yield f"{dtype}", {"samples": plain.to(dtype), "type": "audio"}
    for value in (NAN, INF, 1e38):
        for latent in (good, {"samples": plain, "type": "audio"}):
            bad = latent["samples"].clone()
            bad[..., 3] = value
            yield f"{value}", latent | {"samples": bad}
    for extra in good:
        if extra not in ("samples", "type"):
            for value in (None, 3, [], "x", plain):
                yield f"{extra} {type(value).__name__}", good | {extra: value}


def songs() -> Iterator[tuple[str, Any]]:
    """Odd LEVO_TOKENS."""
    good = nodes.tokens()
    for value in (-1, 16384, 16385, 99999, -(2**63), 2**62):
        codes = good.codes.clone()
        codes[0, 1, 3] = value
        yield f"code {value}", replace(good, codes=codes)
    for dtype in (torch.float32, torch.uint8, torch.bool, torch.int32, torch.complex64):
        yield f"codes {dtype}", replace(good, codes=good.codes.to(dtype))
    for shape in ((3, 25), (1, 2, 25), (1, 3, 0), (0, 3, 25), (1, 3, 25, 1)):
        yield f"codes {shape}", replace(good, codes=torch.zeros(shape, dtype=torch.int64))
    for lengths in ((), (0,), (-1,), (10**9,), (1, 1), (1.5,), None):
        yield f"lengths {lengths}", replace(good, lengths=lengths)
    for field in ("seeds", "ended", "request", "sampling", "composer"):
        for value in (None, (), (None,), ("x",), 3, {}):
            yield f"{field} {value!r}", replace(good, **{field: value})
    for field in ("lyrics", "tags", "instrumental", "style"):
        for value in (None, 3, [], torch.zeros(1, 3, 9)):
            request = replace(good.request, **{field: value})
            yield f"{field} {type(value).__name__}", replace(good, request=request)
    for field in ("checkpoint", "version", "config_sha256"):
        for value in (None, 3, "v9"):
            composer = replace(good.composer, **{field: value})
            yield f"{field} {value!r}", replace(good, composer=composer)
    for value in (None, "tokens", {}, [good]):
        yield f"{type(value).__name__}", value


def _sound(waveform: Any, rate: Any = 48000) -> dict[str, Any]:
    return {"waveform": waveform, "sample_rate": rate}


def _listened(node: str, audio: Any, inputs: dict[str, Any]) -> None:
    given = {name: audio if value is None else value for name, value in inputs.items()}
    for result in nodes.run(node, **given) or ():
        _all_sound(result, node)


def _decoded(node: str, latent: Any) -> None:
    names = ("latent",) if node == "LeVoDecode" else ("mix", "vocals", "accompaniment")
    for result in nodes.run(node, vae=nodes.tiny("VAE"), **dict.fromkeys(names, latent)):
        _all_sound(result, node)


def _tuned(node: str, setting: str, value: Any) -> None:
    tokens, lelm = nodes.tokens(), nodes.tiny("LeLM")
    inputs = {
        "LeVoCompose": {"lelm": lelm, "conditioning": _conditioning(), **nodes.COMPOSE},
        "LeVoRender": {"renderer": nodes.tiny("Renderer"), "tokens": tokens, **nodes.RENDER},
        "LeVoFinishSong": {
            "audio": _sound(torch.randn(1, 2, 48000)),
            "normalise": True,
            "fade": "all songs",
        },
        "LeVoMix": {"vocals": _sound(torch.randn(1, 2, 48000))},
        "LeVoStyleFromAudio": listeners()["LeVoStyleFromAudio"]
        | {"audio": _sound(torch.randn(1, 2, 480000))},
        "LeVoContinueSong": {"lelm": lelm, "tokens": tokens, "seconds": 1.0, "seed": 1, "max_seconds": 2},
    }[node]
    for result in nodes.run(node, **inputs | {setting: value}):
        _all_sound(result, node)


def _conditioning() -> Any:
    return nodes.run("LeVoConditioning", lyrics="[verse] la la", description="pop.")[0]


def _all_sound(result: Any, node: str) -> None:
    """Raises Silent for sound or latents that are no numbers, or a constant at full scale."""
    for part in result if isinstance(result, list) else [result]:
        tensor = part.get("waveform", part.get("samples")) if isinstance(part, dict) else part
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.device.type != "meta":
            if not tensor.isfinite().all():
                raise Silent(f"{node} gives numbers that are none")
        elif isinstance(part, float) and not abs(part) < INF:
            raise Silent(f"{node} says {part}")


if __name__ == "__main__":
    main()
