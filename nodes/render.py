"""The nodes that turn tokens into latents and latents into sound."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.config import SAMPLE_RATE, RenderSettings
from ..levo.song.latent_socket import latent_of, track_of
from ..levo.song.render import render_songs, seeded_noise
from ..levo.song.stems import decode_track
from ..levo.song.tokens import checked_tokens
from .host import memory
from .host.reporting import Progress
from .inputs import CATEGORY, rendering_inputs, style_inputs
from .runs import Decoder, memory_to_render, prompt_of, say_if_bare
from .sockets import LoadedModel, RendererSocket, SongTokens, Style, TokensSocket, VaeSocket


class LeVoRender(io.ComfyNode):
    """Renders one track."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoRender",
            display_name="LeVo Render",
            category=CATEGORY,
            description="Renders a song's tokens to latents by flow matching: the mix or one track alone.",
            inputs=[
                RendererSocket.Input("renderer", tooltip="From LeVo Load Renderer."),
                TokensSocket.Input("tokens", tooltip="From LeVo Compose or LeVo Load Tokens."),
                *rendering_inputs(),
                *style_inputs(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The latents of the track, one for each take.",
                    is_output_list=True,
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        renderer: LoadedModel,
        tokens: SongTokens,
        track: str,
        seed: int,
        steps: int,
        guidance: float,
        style: Style | None = None,
        vae: LoadedModel | None = None,
    ) -> io.NodeOutput:
        settings = RenderSettings(track, steps, guidance)
        songs = checked_tokens(tokens, "LeVo Render").takes
        prompt = None if style is None else prompt_of(style, vae, track, "LeVo Render")
        device = memory.load_on_device(renderer, memory_to_render(renderer, len(songs), guidance))
        noises = [seeded_noise(seed, 1, renderer.config) for _ in songs]
        model = renderer.patcher.model
        latents = render_songs(model, songs, noises, settings, prompt, device, Progress())
        return io.NodeOutput([latent_of(song) for song in latents])


class LeVoDecode(io.ComfyNode):
    """Decodes latents to audio."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoDecode",
            display_name="LeVo Decode",
            category=CATEGORY,
            description="Decodes latents to 48 kHz stereo, in chunks that fit any card.",
            inputs=[
                VaeSocket.Input("vae", tooltip="From LeVo Load VAE."),
                io.Latent.Input(
                    "latent", tooltip="From LeVo Render or LeVo Render Stems, or saved latents of it."
                ),
            ],
            outputs=[io.Audio.Output(display_name="audio", tooltip="48 kHz stereo.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, vae: LoadedModel, latent: dict) -> io.NodeOutput:
        track = track_of(latent, vae.config.latent, "LeVo Decode")
        say_if_bare(cls.hidden.unique_id, track)
        songs, _ = track.size
        audio = decode_track(track, Decoder(vae, songs), Progress())
        return io.NodeOutput({"waveform": audio, "sample_rate": SAMPLE_RATE})
