"""Inputs that several nodes share."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io

from ..levo.audio.encode import FORMATS
from ..levo.config import (
    CUSTOM,
    PRESETS,
    RENDER_GUIDANCE,
    RENDER_STEPS,
    TRACKS,
    Sampling,
    described,
    preset_sampling,
)
from ..levo.files.names import shown
from .sockets import StyleSocket, TokensSocket, VaeSocket

CATEGORY = "audio/LeVo"
DEFAULTS = Sampling()


def seed_input(tooltip: str, name: str = "seed") -> io.Int.Input:
    """A 64-bit seed with the editor's choice of what happens to it after a run."""
    return io.Int.Input(
        name, default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True, tooltip=tooltip
    )


def guidance_input(default: float, tooltip: str, name: str = "guidance") -> io.Float.Input:
    """The scale of classifier-free guidance."""
    return io.Float.Input(name, default=default, min=0.0, max=10.0, step=0.1, tooltip=tooltip)


def song_outputs() -> list[io.Output]:
    """What nodes that compose give."""
    return [
        TokensSocket.Output(display_name="tokens", tooltip="The song before sound, all takes."),
        io.Boolean.Output(
            display_name="ended by itself",
            tooltip="True if the model ended every take, false if one was cut at the limit.",
        ),
        io.Float.Output(display_name="seconds", tooltip="Length of the song, of its longest take."),
    ]


def composing_inputs(seed: str, limit: str) -> list[io.Input]:
    """Seed, limit, sampling and running, as all nodes that compose have them.

    Args:
        seed: tooltip of the seed.
        limit: tooltip of max_seconds.
    """
    seconds = io.Float.Input("max_seconds", default=0.0, min=0.0, max=600.0, step=1.0, tooltip=limit)
    return [seed_input(seed), seconds, *_sampling_inputs(), *_running_inputs()]


def _sampling_inputs() -> list[io.Input]:
    return [
        guidance_input(DEFAULTS.guidance, "How strictly lyrics and style are followed."),
        io.Float.Input(
            "temperature",
            default=DEFAULTS.temperature,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip="Higher is bolder, lower is safer; 0 always takes the likeliest code.",
        ),
        io.Int.Input(
            "top_k",
            default=DEFAULTS.top_k,
            min=1,
            max=16_385,
            tooltip="How many of the likeliest codes may be drawn.",
        ),
        io.Float.Input(
            "top_p",
            default=DEFAULTS.top_p,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Above 0: the share of probability that may be drawn, in place of top_k.",
        ),
        io.Int.Input(
            "repetition_window",
            default=DEFAULTS.repetition_window,
            min=0,
            max=1_000,
            tooltip="Codes of the last so many steps (25 a second) are made less likely; 0 is off.",
        ),
    ]


def _running_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "takes",
            default=1,
            min=1,
            max=16,
            tooltip="How many songs to compose at once, by this seed and the next ones. Faster than one by "
            "one, but each take needs its own memory.",
        ),
        io.Boolean.Input(
            "cuda_graph",
            default=True,
            tooltip="Speeds up NVIDIA cards, most of all those that hold the whole model; turn it off if "
            "composing fails. Elsewhere, as on a CPU, it does nothing.",
        ),
    ]


def preset_input(steps: str | None = None) -> io.Combo.Input:
    """Names of numbers, which the editor fills in (web/js/presets.js); comes last among a node's inputs.

    Args:
        steps: the node's input for steps of the solver, where it has one.
    """
    lists = "; ".join(
        f"{name}: temperature {preset.temperature:g}, top_k {preset.top_k}"
        + (f", {steps} {preset.steps}" if steps else "")
        for name, preset in PRESETS.items()
    )
    combo = io.Combo.Input(
        "preset",
        options=[*PRESETS, CUSTOM],
        default=CUSTOM,
        optional=True,  # prompts from before it was there still run
        tooltip=f"Fills in the numbers of a published program ({lists}; top_p 0). What counts are the "
        "numbers: change one, and the preset is custom.",
    )
    # An argument of newer ComfyUIs only.
    combo.extra_dict = {
        "numbers": {
            name: {**preset.sampling, **({steps: preset.steps} if steps else {})}
            for name, preset in PRESETS.items()
        }
    }
    return combo


def sampling_of(preset: str = CUSTOM, **numbers: float) -> Sampling:
    """What the inputs of `composing_inputs` and `preset_input` say; see `preset_sampling`."""
    return preset_sampling(preset, numbers)


def rendering_inputs(prefix: str = "") -> list[io.Input]:
    """Track, seed, steps and guidance; the names of the last three begin with `prefix`."""
    return [
        io.Combo.Input(
            "track",
            options=list(TRACKS),
            default="mix",
            tooltip="The whole mix, the vocals alone or the accompaniment alone.",
        ),
        *solver_inputs("Decides the noise that the sound is made from; the song itself stays.", prefix),
    ]


def solver_inputs(seed: str, prefix: str = "") -> list[io.Input]:
    """Seed, with its tooltip, steps and guidance; their names begin with `prefix`."""
    return [
        seed_input(seed, f"{prefix}seed"),
        io.Int.Input(
            f"{prefix}steps",
            default=RENDER_STEPS,
            min=1,
            max=200,
            tooltip="Steps of the solver; more are finer and slower. Released: 10, earlier 50.",
        ),
        guidance_input(
            RENDER_GUIDANCE,
            "How strictly tokens are followed; 1 takes half the time.",
            f"{prefix}guidance",
        ),
    ]


def style_inputs(vae: str = "needed for a style, and only then.") -> list[io.Input]:
    """A style whose sound leads, and the VAE that it is encoded with; `vae` ends the latter's tooltip."""
    return [
        StyleSocket.Input(
            "style",
            optional=True,
            tooltip="A style from LeVo Style from Audio: the sound, too, goes on from its 10 s.",
        ),
        VaeSocket.Input("vae", optional=True, tooltip=f"From LeVo Load VAE; {vae}"),
    ]


# Files of sound ------------------------------------------------------------------------------------------


def format_input(default: str, optional: bool = False) -> io.Combo.Input:
    """A choice of the formats that sound is written in."""
    return io.Combo.Input(
        "format",
        options=[*FORMATS],
        default=default,
        optional=optional,
        tooltip="FLAC and WAV keep every sample, at 24 bits rounded, at 16 bits dithered; MP3 and Opus "
        "are small. Opus is always of 48 kHz.",
    )


def format_at(place: int, values: Sequence[object], node: str) -> str:
    """What `format_input` says at a place of a list; see `text_at`.

    Raises:
        ValueError: there is no such format.
    """
    form = text_at(place, values, "format", node)
    if form not in FORMATS:  # from another node: ComfyUI looks at what is chosen alone
        raise ValueError(f"{node} has no format {shown(form)}; choose one of {', '.join(FORMATS)}.")
    return form


def text_at(place: int, values: Sequence[object], name: str, node: str) -> str:
    """The text at a place of an input that is a list; the last goes for all that follow.

    Args:
        place: from 0.
        values: of the input.
        name: of the input.
        node: whose it is, for the sentence.

    Raises:
        ValueError: it is no text.
    """
    value = values[min(place, len(values) - 1)] if values else None
    if not isinstance(value, str):
        raise ValueError(
            f"{node} needs a text as {name}, not {described(value)}; connect a node that gives text."
        )
    return value
