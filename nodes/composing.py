"""The node that composes."""

from __future__ import annotations

import logging
import time

from comfy_api.latest import io

from ..levo.config import FRAME_RATE, LelmConfig, Sampling
from ..levo.lelm.compose import compose
from ..levo.lelm.conditions import Conditions, prepare, song_text
from ..levo.memory import compose_bytes
from ..levo.text.style import conditioned
from . import placement
from .inputs import guidance_input, seed_input
from .sockets import ConditioningSocket, LelmSocket, LoadedLelm, SongRequest, SongTokens, TokensSocket

log = logging.getLogger(__name__)

RELEASED = Sampling()
CUT_SHOWN = 80  # characters of text that did not fit


class LeVoCompose(io.ComfyNode):
    """Samples a song's tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoCompose",
            display_name="LeVo Compose",
            category="audio/LeVo",
            description="Composes a song: samples its tokens with LeLM until it ends or the limit is hit.",
            inputs=[
                LelmSocket.Input("lelm", tooltip="From LeVo Load LeLM."),
                ConditioningSocket.Input("conditioning", tooltip="From LeVo Conditioning."),
                seed_input("Decides everything random here; the same seed gives the same song."),
                io.Float.Input(
                    "max_seconds",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=1.0,
                    tooltip="The song is cut here if it has not ended; 0 is the checkpoint's own limit.",
                ),
                *_sampling_inputs(),
            ],
            outputs=[
                TokensSocket.Output(display_name="tokens", tooltip="The song before sound."),
                io.Boolean.Output(
                    display_name="ended by itself",
                    tooltip="True if the model ended the song, false if the limit was hit.",
                ),
                io.Float.Output(display_name="seconds", tooltip="Length of the song."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, lelm: LoadedLelm, conditioning: SongRequest, seed: int, max_seconds: float, **sampling: float
    ) -> io.NodeOutput:
        conditions = _prepare(lelm, conditioning, cls.hidden.unique_id)
        frames = frames_for(max_seconds, lelm.config)
        tokens = _compose(lelm, conditions, conditioning, frames, Sampling(**sampling), seed)
        return io.NodeOutput(tokens, tokens.ended, tokens.seconds)


def _sampling_inputs() -> list[io.Input]:
    return [
        guidance_input(RELEASED.guidance, "How strictly lyrics and style are followed."),
        io.Float.Input(
            "temperature",
            default=RELEASED.temperature,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip="Higher is bolder, lower is safer; 0 always takes the likeliest code.",
        ),
        io.Int.Input(
            "top_k",
            default=RELEASED.top_k,
            min=1,
            max=16_385,
            tooltip="How many of the likeliest codes may be drawn.",
        ),
        io.Float.Input(
            "top_p",
            default=RELEASED.top_p,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Above 0: the share of probability that may be drawn, in place of top_k.",
        ),
        io.Int.Input(
            "repetition_window",
            default=RELEASED.repetition_window,
            min=0,
            max=1_000,
            tooltip="Codes of the last so many steps (25 a second) are made less likely; 0 is off.",
        ),
    ]


def frames_for(seconds: float, config: LelmConfig) -> int:
    """Frames of a limit in seconds; 0 is the checkpoint's own.

    Raises:
        ValueError: longer than the checkpoint was made for.
    """
    if seconds > config.max_seconds:
        raise ValueError(
            f"LeVo Compose cannot go to {seconds:g} s: this checkpoint composes at most "
            f"{config.max_seconds:g} s; lower max_seconds, or set it to 0 for the checkpoint's limit."
        )
    return max(1, round((seconds or config.max_seconds) * FRAME_RATE))


def _prepare(lelm: LoadedLelm, request: SongRequest, node_id: str | None) -> Conditions:
    style = conditioned(request.tags, lelm.config.version, request.instrumental)
    lyric = song_text(request.lyrics)
    conditions = prepare(lyric, style, request.style, lelm.config, lelm.tokenizer)
    for what, cut in (("lyrics", conditions.cut_lyric), ("style tags", conditions.cut_style)):
        if cut:
            start = cut[:CUT_SHOWN]
            placement.tell(node_id, f"Too long for this checkpoint: the {what} lost their end, {start!r}.")
    return conditions


def _compose(
    lelm: LoadedLelm,
    conditions: Conditions,
    request: SongRequest,
    frames: int,
    sampling: Sampling,
    seed: int,
) -> SongTokens:
    model = lelm.patcher.model
    needed = compose_bytes(lelm.config, frames, model.heads[0].weight.element_size())
    device = placement.place(lelm, needed)
    start = time.monotonic()
    song = compose(model, conditions, frames, sampling, seed, device, on_step=placement.progress())
    spent = max(time.monotonic() - start, 1e-9)
    log.info("LeLM composed %d steps on %s, %.1f steps a second", song.steps, device, song.steps / spent)
    if song.codes.shape[2] == 0:
        raise ValueError("The song ended before its first frame; try another seed or other lyrics.")
    return SongTokens(song.codes, seed, request.lyrics, lelm.config.version, song.ended)
