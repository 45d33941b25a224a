"""The node that composes."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..levo.song.tokens import SongRequest, checked_request, seeds_from
from .host.reporting import Report
from .inputs import CATEGORY, composing_inputs, preset_input, sampling_of, song_outputs
from .runs import composed, frames_for
from .sockets import ConditioningSocket, LelmSocket, LoadedLelm


class LeVoCompose(io.ComfyNode):
    """Samples a song's tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoCompose",
            display_name="LeVo Compose",
            category=CATEGORY,
            description="Composes a song: samples its tokens with LeLM until it ends or the limit is hit.",
            inputs=[
                LelmSocket.Input("lelm", tooltip="From LeVo Load LeLM."),
                ConditioningSocket.Input("conditioning", tooltip="From LeVo Conditioning."),
                *composing_inputs(
                    "Decides everything random here; the same seed gives the same song.",
                    "The song is cut here if it has not ended; 0 is the checkpoint's own limit.",
                ),
                preset_input(),
            ],
            outputs=song_outputs(),
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        lelm: LoadedLelm,
        conditioning: SongRequest,
        seed: int,
        max_seconds: float,
        takes: int,
        cuda_graph: bool,
        **sampling: Any,
    ) -> io.NodeOutput:
        frames = frames_for(max_seconds, lelm.config, "LeVo Compose")
        request, seeds = checked_request(conditioning, "LeVo Compose"), seeds_from(seed, takes)
        report = Report(cls.hidden.unique_id, request.lyrics, frames)
        tokens = composed(lelm, request, frames, sampling_of(**sampling), seeds, cuda_graph, report)
        return io.NodeOutput(tokens, all(tokens.ended), tokens.seconds)
