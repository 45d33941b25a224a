"""The node that composes."""

from __future__ import annotations

import logging
import time

import torch
from comfy_api.latest import io

from ..levo.config import EMPTY, FRAME_RATE, LelmConfig, Sampling
from ..levo.files.damage import display_name
from ..levo.lelm.compose import Composition, OnStep, compose
from ..levo.lelm.conditions import Conditions, prepare, song_text
from ..levo.memory import compose_bytes
from ..levo.song.tokens import Composer, SongRequest, SongTokens, config_hash
from ..levo.text.style import conditioned
from .host import graphs, memory
from .host.reporting import Report
from .inputs import guidance_input, seed_input
from .sockets import ConditioningSocket, LelmSocket, LoadedLelm, TokensSocket

log = logging.getLogger(__name__)

RELEASED = Sampling()
SEEDS = 1 << 64  # after the last seed comes the first
TINY = "tiny"  # in place of a file's name
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
                *composing_inputs(
                    "Decides everything random here; the same seed gives the same song.",
                    "The song is cut here if it has not ended; 0 is the checkpoint's own limit.",
                ),
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
        **sampling: float,
    ) -> io.NodeOutput:
        frames = frames_for(max_seconds, lelm.config, "LeVo Compose")
        how = Sampling(**sampling)
        report = Report(cls.hidden.unique_id)
        tokens = composed(lelm, conditioning, frames, how, seed, takes, cuda_graph, report)
        return io.NodeOutput(tokens, all(tokens.ended), tokens.seconds)


def composed(
    lelm: LoadedLelm,
    request: SongRequest,
    frames: int,
    sampling: Sampling,
    seed: int,
    takes: int,
    cuda_graph: bool,
    report: Report,
    kept: torch.Tensor | None = None,
) -> SongTokens:
    """Compose takes of the seed and the next ones, from the start or on from kept codes [1, 3, K]."""
    conditions = prepared(lelm, request, report)
    seeds = [(seed + take) % SEEDS for take in range(takes)]
    on_step = report.composing(request.lyrics, frames)
    made = _compose(lelm, conditions, frames, sampling, seeds, cuda_graph, kept, on_step)
    tokens = gathered(made, seeds, request, sampling, composer_of(lelm), report)
    report.composed(tokens.lengths, tokens.ended)
    return tokens


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
            "composing fails.",
        ),
    ]


def frames_for(seconds: float, config: LelmConfig, node: str) -> int:
    """Frames of a node's limit in seconds; 0 is the checkpoint's own.

    Raises:
        ValueError: longer than the checkpoint was made for.
    """
    if seconds > config.max_seconds:
        raise ValueError(
            f"{node} cannot go to {seconds:g} s: this checkpoint composes at most "
            f"{config.max_seconds:g} s; lower max_seconds, or set it to 0 for the checkpoint's limit."
        )
    return max(1, round((seconds or config.max_seconds) * FRAME_RATE))


def prepared(lelm: LoadedLelm, request: SongRequest, report: Report) -> Conditions:
    """What a checkpoint is conditioned on; reports what of the text does not fit."""
    style = conditioned(request.tags, lelm.config.version, request.instrumental)
    lyric = song_text(request.lyrics)
    conditions = prepare(lyric, style, request.style, lelm.config, lelm.tokenizer)
    for what, cut in (("lyrics", conditions.cut_lyric), ("style tags", conditions.cut_style)):
        if cut:
            start = cut[:CUT_SHOWN]
            report.note(f"Too long for this checkpoint: the {what} lost their end, {start!r}.")
    return conditions


def _compose(
    lelm: LoadedLelm,
    conditions: Conditions,
    frames: int,
    sampling: Sampling,
    seeds: list[int],
    cuda_graph: bool,
    kept: torch.Tensor | None,
    on_step: OnStep,
) -> list[Composition]:
    model, known = lelm.patcher.model, 0 if kept is None else kept.shape[2]
    device = memory.place(lelm, memory_for(lelm, frames, len(seeds), known))
    how = graphs.execution(lelm, cuda_graph, frames)
    start = time.monotonic()
    songs = compose(
        model, conditions, frames, sampling, seeds, device, execution=how, kept=kept, on_step=on_step
    )
    spent = max(time.monotonic() - start, 1e-9)
    steps = max(song.steps for song in songs) - known
    log.info("LeLM composed %d steps on %s, %.1f steps a second", steps, device, steps / spent)
    return songs


def memory_for(lelm: LoadedLelm, frames: int, takes: int, kept: int = 0) -> int:
    """Bytes that composing needs beside the weights; see `compose_bytes`."""
    return compose_bytes(lelm.config, frames, lelm.dtype.itemsize, takes, kept)


def composer_of(lelm: LoadedLelm) -> Composer:
    """What tokens remember of the model that composed them."""
    name = display_name(lelm.file) if lelm.file else TINY
    return Composer(name, lelm.config.version, config_hash(lelm.config))


def gathered(
    songs: list[Composition],
    seeds: list[int],
    request: SongRequest,
    sampling: Sampling,
    composer: Composer,
    report: Report,
) -> SongTokens:
    """Takes on one socket; those without a frame are left out and named.

    Raises:
        ValueError: no take has a frame.
    """
    sung = [(song, seed) for song, seed in zip(songs, seeds, strict=True) if song.codes.shape[2]]
    if not sung:
        raise ValueError("The song ended before its first frame; try another seed or other lyrics.")
    if silent := [seed for song, seed in zip(songs, seeds, strict=True) if not song.codes.shape[2]]:
        left = ", ".join(map(str, silent))
        report.note(f"Left out, because they ended before their first frame: seeds {left}.")
    lengths = tuple(song.codes.shape[2] for song, _ in sung)
    codes = torch.full((len(sung), 3, max(lengths)), EMPTY)
    for row, (song, _) in zip(codes, sung, strict=True):
        row[:, : song.codes.shape[2]] = song.codes[0]
    ended = tuple(song.ended for song, _ in sung)
    sown = tuple(seed for _, seed in sung)
    return SongTokens(codes, lengths, sown, ended, request, sampling, composer)
