"""The nodes that make all tracks of a song at once."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.config import SAMPLE_RATE, TRACKS
from ..levo.song.latent_socket import latent_of, track_of
from ..levo.song.latents import Track
from ..levo.song.stems import MODES, SUM, Stems, decode_stems, render_stems, residual_db, tracks_in
from ..levo.song.tokens import checked_tokens
from .host import memory
from .host.reporting import Progress
from .inputs import CATEGORY, solver_inputs, style_inputs
from .runs import Decoder, memory_to_render, prompt_of, say_if_bare
from .sockets import LoadedModel, RendererSocket, SongTokens, Style, TokensSocket, VaeSocket


class LeVoRenderStems(io.ComfyNode):
    """Renders mix, vocals and accompaniment."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoRenderStems",
            display_name="LeVo Render Stems",
            category=CATEGORY,
            description="Renders mix, vocals and accompaniment from one seed, so that they add up.",
            inputs=[
                RendererSocket.Input("renderer", tooltip="From LeVo Load Renderer."),
                TokensSocket.Input("tokens", tooltip="From LeVo Compose or LeVo Load Tokens."),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default=SUM,
                    tooltip="sum to mix: the accompaniment is the mix without the vocals. rendered: all "
                    "three from the same noise. released: each from its own, as in the published code.",
                ),
                *solver_inputs("Decides the noise that the sound is made from; the mix is LeVo Render's."),
                *style_inputs(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name=track,
                    tooltip=f"Latents of the {track}, one for each take.",
                    is_output_list=True,
                )
                for track in TRACKS
            ],
        )

    @classmethod
    def execute(
        cls,
        renderer: LoadedModel,
        tokens: SongTokens,
        mode: str,
        seed: int,
        steps: int,
        guidance: float,
        style: Style | None = None,
        vae: LoadedModel | None = None,
    ) -> io.NodeOutput:
        tracks, songs = tracks_in(mode), checked_tokens(tokens, "LeVo Render Stems").takes
        prompts = None
        if style is not None:
            prompts = [prompt_of(style, vae, track, "LeVo Render Stems") for track in tracks]
        model = renderer.patcher.model
        device = memory.load_on_device(
            renderer, memory_to_render(renderer, len(songs) * len(tracks), guidance)
        )
        stems = render_stems(model, songs, mode, seed, steps, guidance, prompts, device, Progress())
        by_track = zip(*((song.mix, song.vocals, song.accompaniment) for song in stems), strict=True)
        return io.NodeOutput(*([latent_of(song) for song in each] for each in by_track))


class LeVoDecodeStems(io.ComfyNode):
    """Decodes mix, vocals and accompaniment."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoDecodeStems",
            display_name="LeVo Decode Stems",
            category=CATEGORY,
            description="Decodes the tracks of LeVo Render Stems and says how far they are from adding up.",
            inputs=[
                VaeSocket.Input("vae", tooltip="From LeVo Load VAE."),
                *(io.Latent.Input(track, tooltip="From LeVo Render Stems.") for track in TRACKS),
            ],
            outputs=[
                *(io.Audio.Output(display_name=track, tooltip="48 kHz stereo.") for track in TRACKS),
                io.Float.Output(
                    display_name="residual",
                    tooltip="Level in dBFS of the mix without vocals and accompaniment; lower is better.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, vae: LoadedModel, mix: dict, vocals: dict, accompaniment: dict) -> io.NodeOutput:
        latents = mix, vocals, accompaniment
        tracks = [track_of(latent, vae.config.latent, "LeVo Decode Stems") for latent in latents]
        songs = require_alike(*tracks)
        say_if_bare(cls.hidden.unique_id, *tracks)
        sounds = decode_stems(Stems(*tracks), Decoder(vae, songs), Progress())
        audio = ({"waveform": sound, "sample_rate": SAMPLE_RATE} for sound in sounds)
        return io.NodeOutput(*audio, residual_db(*sounds))


def require_alike(*tracks: Track) -> int:
    """How many songs the tracks are of.

    Raises:
        ValueError: they are not of one song, because their lengths or numbers differ.
    """
    sizes = [track.size for track in tracks]
    if len(set(sizes)) > 1:
        listed = ", ".join(
            f"{track} {count} of {frames}" for track, (count, frames) in zip(TRACKS, sizes, strict=True)
        )
        raise ValueError(
            f"LeVo Decode Stems was given tracks of different songs (songs and frames: {listed}); connect "
            "all three outputs of one LeVo Render Stems."
        )
    return sizes[0][0]
