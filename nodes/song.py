"""The node that composes and renders in one go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..levo.config import FRAME_RATE, SAMPLE_RATE, Sampling
from ..levo.lelm.compose import Composition, OnStep, compose
from ..levo.lelm.conditions import Conditions
from ..levo.song.pipeline import Compose, compose_and_render
from ..levo.song.preview import EarlySound
from ..levo.song.render import OnWindow, Prompt, SongRendering, seeded_noise
from .compose import SEEDS, composer_of, composing_inputs, frames_for, gathered, prepared, song_outputs
from .compose import memory_for as memory_to_compose
from .host import graphs, memory, reporting
from .host.reporting import Report
from .render import latent_of, memory_to_decode, prompt_of, rendering_inputs, style_inputs
from .render import memory_for as memory_to_render
from .sockets import (
    ConditioningSocket,
    LelmSocket,
    LoadedLelm,
    LoadedModel,
    RendererSocket,
    SongRequest,
    Style,
)

log = logging.getLogger(__name__)


class LeVoSong(io.ComfyNode):
    """LeVo Compose and LeVo Render in one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSong",
            display_name="LeVo Song",
            category="audio/LeVo",
            description="Composes a song and renders it in one go: the same song as LeVo Compose and LeVo "
            "Render make, but each 40 s are rendered as soon as they are composed.",
            inputs=[
                LelmSocket.Input("lelm", tooltip="From LeVo Load LeLM."),
                RendererSocket.Input("renderer", tooltip="From LeVo Load Renderer."),
                ConditioningSocket.Input("conditioning", tooltip="From LeVo Conditioning."),
                *composing_inputs(
                    "Decides the song, as in LeVo Compose.",
                    "The song is cut here if it has not ended; 0 is the checkpoint's own limit.",
                ),
                *rendering_inputs("render_"),
                *style_inputs(
                    "with it the first take can be heard window by window while the rest is made. Needed "
                    "for a style."
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The latents of the track, one for each take, for LeVo Decode.",
                    is_output_list=True,
                ),
                *song_outputs(),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        lelm: LoadedLelm,
        renderer: LoadedModel,
        conditioning: SongRequest,
        seed: int,
        max_seconds: float,
        takes: int,
        cuda_graph: bool,
        track: str,
        render_seed: int,
        render_steps: int,
        render_guidance: float,
        style: Style | None = None,
        vae: LoadedModel | None = None,
        **sampling: float,
    ) -> io.NodeOutput:
        report, how = Report(cls.hidden.unique_id), Sampling(**sampling)
        conditions = prepared(lelm, conditioning, report)
        frames = frames_for(max_seconds, lelm.config, "LeVo Song")
        seeds = [(seed + take) % SEEDS for take in range(takes)]
        # First of all, as its model may have to go for the others.
        prompt = None if style is None else prompt_of(style, vae, track, "LeVo Song")
        needed = memory_to_compose(lelm, frames, takes), memory_to_render(renderer, takes, render_guidance)
        early = _early(lelm, renderer, vae, sum(needed))
        bring = None if early is not None else _placed(lelm, renderer, *needed)
        how_to_render = track, render_steps, render_guidance, prompt
        on_window = _telling(report, early, cls.hidden.unique_id)
        rendering = _rendering(renderer, takes, render_seed, how_to_render, on_window)
        telling = partial(report.composing, conditioning.lyrics, frames)
        run = _composing(lelm, conditions, frames, how, seeds, cuda_graph, telling)
        made, latents = compose_and_render(run, rendering, frames, bring, reporting.progress())
        tokens = gathered(made, seeds, conditioning, how, composer_of(lelm), report)
        report.composed(tokens.lengths, tokens.ended)
        songs = [latent_of(song) for song in latents.values()]
        return io.NodeOutput(songs, tokens, all(tokens.ended), tokens.seconds)


def _early(
    lelm: LoadedLelm, renderer: LoadedModel, vae: LoadedModel | None, needed: int
) -> EarlySound | None:
    """Bring all three models to their device, if they fit and somebody listens: what decodes on the way."""
    if vae is None or not reporting.is_watched():
        return None
    device = vae.patcher.load_device
    needed += memory_to_decode(vae)
    together = device == lelm.patcher.load_device == renderer.patcher.load_device
    if together and memory.place_together([lelm, renderer, vae], needed):
        return EarlySound(vae.patcher.model, device, vae.dtype)
    log.info("The VAE does not fit on one device with LeLM and the renderer: nothing is heard early.")
    return None


def _placed(
    lelm: LoadedLelm, renderer: LoadedModel, to_compose: int, to_render: int
) -> Callable[[], object] | None:
    """Bring both models to their device, or LeLM alone; then gives what brings the renderer."""
    if memory.place_together([lelm, renderer], to_compose + to_render):
        return None
    log.info("LeLM and the renderer do not fit together: rendering starts when the song is composed.")
    memory.place(lelm, to_compose)
    return partial(memory.place, renderer, to_render)


def _telling(report: Report, early: EarlySound | None, node_id: str | None) -> OnWindow:
    """Reports how much is rendered, and lets the editor play as much of the first take."""

    def on_window(take: int, start: int, latents: Tensor) -> None:
        report.rendered((start + latents.shape[2]) / FRAME_RATE)
        if early is None or take:
            return
        early.add(latents, lambda _: reporting.raise_if_cancelled())
        if early.sound.shape[2]:
            audio = {"waveform": early.sound, "sample_rate": SAMPLE_RATE}
            reporting.send_event("levo.early", {"node": node_id, "file": ui.PreviewAudio(audio).values[0]})

    return on_window


def _rendering(
    renderer: LoadedModel,
    takes: int,
    seed: int,
    how: tuple[str, int, float, Prompt | None],
    on_window: OnWindow,
) -> SongRendering:
    """What renders all takes, from the same noise, and hands over their windows."""
    noises = [seeded_noise(seed, 1, renderer.config) for _ in range(takes)]
    patcher = renderer.patcher
    return SongRendering(patcher.model, noises, *how, patcher.load_device, on_window)


def _composing(
    lelm: LoadedLelm,
    conditions: Conditions,
    frames: int,
    sampling: Sampling,
    seeds: list[int],
    cuda_graph: bool,
    telling: Callable[[OnStep], OnStep],
) -> Compose:
    """What composes all takes with LeLM where it was placed, and tells of itself on the way."""
    model, device = lelm.patcher.model, lelm.patcher.load_device
    how = graphs.execution(lelm, cuda_graph, frames)
    composing = partial(compose, model, conditions, frames, sampling, seeds, device, execution=how)

    def told(on_step: OnStep, **others: Any) -> list[Composition]:
        return composing(on_step=telling(on_step), **others)

    return told
