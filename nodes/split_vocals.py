"""The node that splits a song into vocals and accompaniment."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.audio.sound import sound_of
from .inputs import seed_input
from .runs import split_sound
from .sockets import LoadedModel, SeparatorSocket


class LeVoSplitVocals(io.ComfyNode):
    """Splits a song."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSplitVocals",
            display_name="LeVo Split Vocals",
            category="audio/LeVo",
            description="Splits any song into vocals and accompaniment, and into drums, bass and the rest.",
            inputs=[
                SeparatorSocket.Input("separator", tooltip="From LeVo Load Separator."),
                io.Audio.Input("audio", tooltip="The song: mono or stereo, of any rate and length."),
                seed_input("Where the windows lie that are split; all seeds sound nearly the same."),
            ],
            outputs=[
                io.Audio.Output(display_name="vocals", tooltip="The voices alone."),
                io.Audio.Output(
                    display_name="accompaniment",
                    tooltip="The song without its voices; both together are the song as it was.",
                ),
                io.Audio.Output(display_name="drums", tooltip="Drums and percussion."),
                io.Audio.Output(display_name="bass", tooltip="The bass."),
                io.Audio.Output(display_name="other", tooltip="Every other instrument."),
            ],
        )

    @classmethod
    def execute(cls, separator: LoadedModel, audio: dict, seed: int) -> io.NodeOutput:
        sound = sound_of(audio, "audio")
        stems = split_sound(separator, sound, seed)
        tracks = (stems.vocals, stems.accompaniment, stems.drums, stems.bass, stems.other)
        return io.NodeOutput(*({"waveform": stem, "sample_rate": sound.rate} for stem in tracks))
