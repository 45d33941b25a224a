"""The node that makes a style from sound."""

from __future__ import annotations

from functools import partial

import torch
from comfy_api.latest import io
from torch import Tensor

from ..levo.audio.sound import Sound, sound_of
from ..levo.config import SAMPLE_RATE
from ..levo.memory import encode_bytes
from ..levo.style_encoder.clip import Recording, both_stems, choose, stem
from ..levo.style_encoder.encode import encode_style
from .host import memory, reporting
from .runs import split_sound
from .sockets import (
    LoadedModel,
    LoadedStyleEncoder,
    SeparatorSocket,
    Style,
    StyleEncoderSocket,
    StyleSocket,
)


def _stem_inputs() -> list[io.Input]:
    return [
        io.Audio.Input(
            "vocals",
            optional=True,
            tooltip="The recording's vocals, as long as it is, from LeVo Split Vocals or any other "
            "separator.",
        ),
        io.Audio.Input(
            "accompaniment",
            optional=True,
            tooltip="The recording's accompaniment; without it, the recording minus its vocals.",
        ),
        SeparatorSocket.Input(
            "separator",
            optional=True,
            tooltip="From LeVo Load Separator: splits the 10 s if neither vocals nor accompaniment "
            "are connected.",
        ),
    ]


class LeVoStyleFromAudio(io.ComfyNode):
    """Encodes ten seconds of a recording."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoStyleFromAudio",
            display_name="LeVo Style from Audio",
            category="audio/LeVo/conditioning",
            description="Makes a style from 10 s of a recording: the song will sound like them.",
            inputs=[
                StyleEncoderSocket.Input("style_encoder", tooltip="From LeVo Load Style Encoder."),
                io.Audio.Input(
                    "audio", tooltip="The recording: mono or stereo, of any rate, 1 s or longer."
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=36_000.0,
                    step=0.1,
                    tooltip="Where the 10 s start, in seconds; a recording may end before they do.",
                ),
                io.Boolean.Input(
                    "auto", default=False, tooltip="Take the loudest 10 s, wherever start stands."
                ),
                *_stem_inputs(),
            ],
            outputs=[
                StyleSocket.Output(display_name="style", tooltip="The style, codes and sound."),
                io.Audio.Output(display_name="clip", tooltip="The seconds that were taken, 48 kHz stereo."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        style_encoder: LoadedStyleEncoder,
        audio: dict | None,
        start: float,
        auto: bool,
        vocals: dict | None = None,
        accompaniment: dict | None = None,
        separator: LoadedModel | None = None,
    ) -> io.NodeOutput:
        if audio is None:  # a song of a list that names none
            reporting.show_text(cls.hidden.unique_id, "No audio, so no style.")
            return io.NodeOutput(None, None)
        whole = recording(audio, "audio")
        start, clip = choose(whole, None if auto else start)
        tracks = tracks_of(clip, start, whole, vocals, accompaniment, separator)
        style = Style(encode(style_encoder, clip, *tracks), f"clip at {start:g} s", *tracks)
        return io.NodeOutput(style, {"waveform": clip, "sample_rate": SAMPLE_RATE})


def recording(audio: dict, name: str) -> Recording:
    """An AUDIO; raises SoundError where it is none, ClipError for a batch."""
    sound = sound_of(audio, name)
    return Recording(sound.waveform, sound.rate, name)


def tracks_of(
    clip: Tensor,
    start: float,
    whole: Recording,
    vocals: dict | None,
    accompaniment: dict | None,
    separator: LoadedModel | None,
) -> tuple[Tensor, Tensor]:
    """Vocals and accompaniment [1, 2, samples] of a clip.

    Args:
        clip: [1, 2, samples] at 48 kHz.
        start: of the clip in the recording, in seconds.
        whole: the recording.
        vocals, accompaniment: AUDIO of the recording's stems, where there are any.
        separator: splits the clip where there are none.
    """
    stems = [
        None if part is None else stem(recording(part, name), start, whole)
        for name, part in (("vocals", vocals), ("accompaniment", accompaniment))
    ]
    if vocals is None and accompaniment is None:
        stems[0] = sung(separator, clip)
    return both_stems(clip, *stems)


def sung(separator: LoadedModel | None, clip: Tensor) -> Tensor:
    """Vocals [1, 2, samples] of a clip.

    Raises:
        ValueError: there is no separator.
    """
    if separator is None:
        raise ValueError(
            "LeVo Style from Audio cannot tell voice from band; connect vocals from LeVo Split Vocals, or "
            "a separator from LeVo Load Separator."
        )
    return split_sound(separator, Sound(clip, SAMPLE_RATE), seed=0).vocals


def encode(encoder: LoadedStyleEncoder, clip: Tensor, vocals: Tensor, accompaniment: Tensor) -> Tensor:
    """The style prompt [1, 3, 250] of a clip [1, 2, samples] and its stems, with progress and Cancel."""
    encoders = [
        (model.patcher.model, partial(_bring, model, clip.shape[2]))
        for model in (encoder.tracks, encoder.mixed)
    ]
    return encode_style(encoders, clip, vocals, accompaniment, reporting.Progress())


def _bring(model: LoadedModel, samples: int) -> torch.device:
    return memory.load_on_device(model, encode_bytes(model.config, samples))
