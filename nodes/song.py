"""The node that composes and renders in one go."""

from __future__ import annotations

import logging
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..levo.config import FRAME_RATE, SAMPLE_RATE, RenderSettings
from ..levo.files.atomic import WriteError
from ..levo.song.latent_socket import latent_of
from ..levo.song.pipeline import SongRun
from ..levo.song.preview import EarlySound
from ..levo.song.render import OnWindow, Prompt, SongRenderer, seeded_noise
from ..levo.song.tokens import checked_request, seeds_from
from .host import memory, reporting
from .host.reporting import Progress, Report
from .inputs import (
    CATEGORY,
    composing_inputs,
    preset_input,
    rendering_inputs,
    sampling_of,
    song_outputs,
    style_inputs,
)
from .runs import (
    composing,
    frames_for,
    memory_to_compose,
    memory_to_decode,
    memory_to_render,
    prepared,
    prompt_of,
    say_if_short,
    tokens_of,
)
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
            category=CATEGORY,
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
                preset_input("render_steps"),
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
        **sampling: Any,
    ) -> io.NodeOutput:
        frames, draws = frames_for(max_seconds, lelm.config, "LeVo Song"), sampling_of(**sampling)
        conditioning = checked_request(conditioning, "LeVo Song")
        report = Report(cls.hidden.unique_id, conditioning.lyrics, frames)
        conditions, seeds = prepared(lelm, conditioning, report), seeds_from(seed, takes)
        settings = RenderSettings(track, render_steps, render_guidance)
        # First of all, as its model may have to go for the others.
        prompt = None if style is None else prompt_of(style, vae, track, "LeVo Song")
        models = Models(lelm, renderer, vae, frames, takes, render_guidance)
        say_if_short(lelm, memory_to_compose(lelm, frames, takes), report)
        player = WindowPlayer(report, models.decoder(), cls.hidden.unique_id)
        rendering = renderer_of(renderer, takes, render_seed, settings, prompt, player.add)
        progress = Progress()
        with composing(lelm, conditions, frames, draws, seeds, cuda_graph) as run:
            song = SongRun(run, rendering, models.together)
            while song.step(progress):
                report.composing(run.done, run.total)
            compositions = run.result()
        tokens = tokens_of(compositions, seeds, conditioning, draws, lelm, report)
        models.bring_renderer()
        songs = [latent_of(latents) for latents in song.finish(compositions, progress).values()]
        report.composed(tokens.lengths, tokens.ended, lelm.file is None)
        return io.NodeOutput(songs, tokens, all(tokens.ended), tokens.seconds)


class Models:
    """Where the models of a song are: all on their device, LeLM and the renderer, or LeLM alone."""

    def __init__(
        self,
        lelm: LoadedLelm,
        renderer: LoadedModel,
        vae: LoadedModel | None,
        frames: int,
        takes: int,
        guidance: float,
    ):
        """Bring as many of them to their device as fit; the VAE only where somebody listens."""
        self._renderer, self._vae = renderer, vae
        to_compose = memory_to_compose(lelm, frames, takes)
        self._to_render = memory_to_render(renderer, takes, guidance)
        needed = to_compose + self._to_render
        self._all_placed = vae is not None and reporting.is_watched() and self._place_all(lelm, vae, needed)
        self.together = self._all_placed or memory.load_together([lelm, renderer], needed)
        if not self.together:
            log.info(
                "LeLM and the renderer do not fit together: rendering starts when the song is composed."
            )
            memory.load_on_device(lelm, to_compose)

    def _place_all(self, lelm: LoadedLelm, vae: LoadedModel, needed: int) -> bool:
        device, models = vae.patcher.load_device, [lelm, self._renderer, vae]
        one_device = all(model.patcher.load_device == device for model in models)
        if one_device and memory.load_together(models, needed + memory_to_decode(vae)):
            return True
        log.info("The VAE does not fit on one device with LeLM and the renderer: nothing is heard early.")
        return False

    def decoder(self) -> EarlySound | None:
        """What decodes while the song is made, if all models are there."""
        vae = self._vae
        if vae is None or not self._all_placed:
            return None
        return EarlySound(vae.patcher.model, vae.patcher.load_device, vae.dtype)

    def bring_renderer(self) -> None:
        """Bring the renderer to its device where it was left behind."""
        if not self.together:
            memory.load_on_device(self._renderer, self._to_render)


class WindowPlayer:
    """What becomes of rendered windows: the node tells of them, and the editor plays the first take's."""

    def __init__(self, report: Report, early: EarlySound | None, node_id: str | None):
        self._report, self._early, self._node_id = report, early, node_id

    def add(self, take: int, start: int, latents: Tensor) -> None:
        """Tell of a window's latents [1, 64, T] from frame `start` on."""
        self._report.rendered((start + latents.shape[2]) / FRAME_RATE)
        if self._early is None or take:
            return
        self._early.add(latents, lambda *_: reporting.raise_if_cancelled())
        if self._early.sound.shape[2]:
            audio = {"waveform": self._early.sound, "sample_rate": SAMPLE_RATE}
            try:
                file = reporting.preview(audio)
            except WriteError as error:  # the song is made all the same
                self._report.note(f"Nothing more is heard early, because {error}")
                self._early = None
            else:
                reporting.send_event("levo.early", {"node": self._node_id, "file": file})


def renderer_of(
    renderer: LoadedModel,
    takes: int,
    seed: int,
    settings: RenderSettings,
    prompt: Prompt | None,
    on_window: OnWindow,
) -> SongRenderer:
    """What renders all takes, from the same noise, and hands over their windows."""
    noises = [seeded_noise(seed, 1, renderer.config) for _ in range(takes)]
    model, device = renderer.patcher.model, renderer.patcher.load_device
    return SongRenderer(model, noises, settings, prompt, device, on_window)
