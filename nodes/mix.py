"""The node that mixes tracks."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..levo.audio.mixing import SILENT, Fader, mixed
from ..levo.audio.sound import sound_of

TRACKS = ("vocals", "accompaniment", "mix")  # a new track would come last
LOUDEST = 6.0  # dB, as the faders of LeVo Listen; web/js/levels.js has both ends


class LeVoMix(io.ComfyNode):
    """Adds tracks up, each at its level."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoMix",
            display_name="LeVo Mix",
            category="audio/LeVo",
            description="Mixes tracks of a song, each at its own level, which LeVo Listen can set.",
            inputs=[
                io.Audio.Input("vocals", optional=True, tooltip="The vocals alone."),
                io.Audio.Input("accompaniment", optional=True, tooltip="The accompaniment alone."),
                io.Audio.Input(
                    "mix",
                    optional=True,
                    tooltip="A third track: the whole song, any other, or what another LeVo Mix made.",
                ),
                *(_gain_input(track) for track in TRACKS),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    tooltip="The sum of all; LeVo Finish Song turns down peaks that would be clipped.",
                )
            ],
        )

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        sound = mixed(faders_of(inputs))
        return io.NodeOutput({"waveform": sound.waveform, "sample_rate": sound.rate})


def _gain_input(track: str) -> io.Input:
    return io.Float.Input(
        f"{track}_db",
        default=0.0,
        min=SILENT,
        max=LOUDEST,
        step=0.5,
        round=0.01,
        tooltip=f"How far the {track} is turned up or down, in dB: 0 leaves it as it is, {SILENT:.0f} is "
        "silence.",
    )


def faders_of(inputs: dict[str, Any]) -> list[Fader]:
    """The tracks that are connected and have a sound, with their gains.

    Raises:
        ValueError: there is none.
        SoundError, SettingError: one is no sound, or its gain no number.
    """
    sounds = {track: inputs[track] for track in TRACKS if inputs.get(track) is not None}
    if not sounds:
        raise ValueError(
            "LeVo Mix has nothing to mix; connect the vocals, the accompaniment or another sound."
        )
    return [Fader(track, sound_of(audio, track), inputs[f"{track}_db"]) for track, audio in sounds.items()]
