"""The node that goes on from a song."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..levo.config import FRAME_RATE, LelmConfig, require_number
from ..levo.song.tokens import MOST_TAKES, checked_request, checked_tokens, seeds_from
from .host.reporting import Report
from .inputs import CATEGORY, composing_inputs, preset_input, sampling_of, song_outputs
from .runs import composed, frames_for
from .sockets import ConditioningSocket, LelmSocket, LoadedLelm, SongRequest, SongTokens, TokensSocket

NAME = "LeVo Continue Song"


class LeVoContinueSong(io.ComfyNode):
    """Keeps the beginning of a song and composes on from there."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoContinueSong",
            display_name=NAME,
            category=CATEGORY,
            description="Keeps a song up to a time and composes it on from there: to make it longer, or to "
            "redo it from a section on with another seed, lyrics or style.",
            inputs=[
                LelmSocket.Input("lelm", tooltip="From LeVo Load LeLM."),
                TokensSocket.Input("tokens", tooltip="The song, from LeVo Compose or LeVo Load Tokens."),
                ConditioningSocket.Input(
                    "conditioning",
                    optional=True,
                    tooltip="What the whole song should be, with other lyrics or style if you like; "
                    "without it, what the song was asked to be.",
                ),
                io.Int.Input("take", default=1, min=1, max=16, tooltip="Which take of the song goes on."),
                io.Float.Input(
                    "seconds",
                    default=30.0,
                    min=0.0,
                    max=600.0,
                    step=0.04,
                    tooltip="How much of the song is kept exactly; what comes after is composed anew. At "
                    "the song's length or beyond, all is kept.",
                ),
                *composing_inputs(
                    "Decides everything random that is composed: the song's own seed and settings give "
                    "the same song, another seed another take.",
                    "The song is cut here if it has not ended, with what is kept; 0 is the checkpoint's "
                    "own limit.",
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
        tokens: SongTokens,
        take: int,
        seconds: float,
        seed: int,
        max_seconds: float,
        takes: int,
        cuda_graph: bool,
        conditioning: SongRequest | None = None,
        **sampling: Any,
    ) -> io.NodeOutput:
        frames = frames_for(max_seconds, lelm.config, NAME)
        kept = kept_of(checked_tokens(tokens, NAME), take, seconds, frames, lelm.config)
        request = checked_request(tokens.request if conditioning is None else conditioning, NAME)
        settings = sampling_of(**sampling)
        report = Report(cls.hidden.unique_id, request.lyrics, frames)
        song = composed(lelm, request, frames, settings, seeds_from(seed, takes), cuda_graph, report, kept)
        report_kept(report, kept.shape[2] / FRAME_RATE, seconds, song.seconds)
        return io.NodeOutput(song, all(song.ended), song.seconds)


def report_kept(report: Report, kept: float, requested: float, length: float) -> None:
    """Say where less was kept or made than one may expect; all in seconds."""
    if length == kept:
        report.note(
            f"Nothing was added: the song ended at {kept:g} s, where it went on; keep less, or try "
            "another seed or other lyrics.",
        )
    elif kept < requested:
        report.remark(f"The song is {kept:g} s long; all of it was kept.")


def kept_of(tokens: SongTokens, take: int, seconds: float, frames: int, config: LelmConfig) -> Tensor:
    """The codes [1, 3, K] of a take that are kept.

    Args:
        tokens: the song.
        take: counts from 1.
        seconds: how much is kept; all where the take is not longer.
        frames: limit of the song to be made.
        config: of the model that goes on.

    Raises:
        ValueError: the model is of another version, there is no such take or time, or the limit leaves
            nothing to compose.
    """
    require_number("number of the take", take, 1, MOST_TAKES, whole=True)
    require_number("time to keep (seconds)", seconds, 0, 36_000)
    composer = tokens.composer
    if composer.version != config.version:
        raise ValueError(
            f"{NAME} cannot go on from a song of the {composer.version} checkpoint {composer.checkpoint} "
            f"with a {config.version} checkpoint; choose a {composer.version} one in LeVo Load LeLM."
        )
    if take > len(tokens.lengths):
        raise ValueError(
            f"{NAME} was asked for take {take} of a song with {len(tokens.lengths)}; lower take."
        )
    kept = tokens.takes[take - 1][..., : round(seconds * FRAME_RATE)]
    if kept.shape[2] >= frames:
        raise ValueError(
            f"{NAME} keeps {kept.shape[2] / FRAME_RATE:g} s and may go to {frames / FRAME_RATE:g} s, so "
            "nothing is left to compose; lower seconds, or raise max_seconds if the checkpoint can."
        )
    return kept
