"""The node that splits a song into vocals and accompaniment."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.memory import separate_bytes
from ..levo.separator.split import Stems, split
from .host import memory, reporting
from .inputs import seed_input
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
        stems, rate = split_audio(separator, audio, seed), audio["sample_rate"]
        made = (stems.vocals, stems.accompaniment, stems.drums, stems.bass, stems.other)
        return io.NodeOutput(*({"waveform": stem, "sample_rate": rate} for stem in made))


def split_audio(separator: LoadedModel, audio: dict, seed: int) -> Stems:
    """Stems of an AUDIO at its own rate and with its own channels, with progress and Cancel."""
    device = memory.load_on_device(separator, separate_bytes(separator.config), whole=True)
    model, config = separator.patcher.model, separator.config
    mix, rate = audio["waveform"], audio["sample_rate"]
    return split(model, config, mix, rate, seed, device, reporting.Progress())
