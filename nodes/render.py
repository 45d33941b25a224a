"""The nodes that turn tokens into latents and latents into sound."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..levo.config import PROMPT_FRAMES, RENDER_GUIDANCE, RENDER_STEPS, SAMPLE_RATE, RendererConfig
from ..levo.memory import chunk_frames, decode_bytes, render_bytes
from ..levo.song.render import (
    TRACKS,
    OnStep,
    Prompt,
    SongLatents,
    decode_song,
    render_songs,
    seeded_noise,
    style_prompt,
)
from ..levo.song.stems import Decode, decode_track
from .host import memory, reporting
from .inputs import guidance_input, seed_input
from .sockets import LoadedModel, RendererSocket, SongTokens, Style, StyleSocket, TokensSocket, VaeSocket

CATEGORY = "audio/LeVo"
CONTEXT = "levo"  # key of a LATENT that holds what decoding needs beside the samples


def style_inputs(vae: str = "needed for a style, and only then.") -> list[io.Input]:
    """A style whose sound leads, and the VAE that it is encoded with; `vae` ends the latter's tooltip."""
    return [
        StyleSocket.Input(
            "style",
            optional=True,
            tooltip="A style from LeVo Style from Audio: the sound, too, goes on from its 10 s.",
        ),
        VaeSocket.Input("vae", optional=True, tooltip=f"From LeVo Load VAE; {vae}"),
    ]


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
        prompt = None if style is None else prompt_of(style, vae, track, "LeVo Render")
        config, model = renderer.config, renderer.patcher.model
        songs = tokens.takes
        device = memory.place(renderer, memory_for(renderer, len(songs), guidance))
        noises = [seeded_noise(seed, 1, config) for _ in songs]
        made = render_songs(
            model, songs, noises, track, steps, guidance, prompt, device, reporting.progress()
        )
        return io.NodeOutput([latent_of(song) for song in made])


def rendering_inputs(prefix: str = "") -> list[io.Input]:
    """Track, seed, steps and guidance; the names of the last three begin with `prefix`."""
    return [
        io.Combo.Input(
            "track",
            options=list(TRACKS),
            default="mix",
            tooltip="The whole mix, the vocals alone or the accompaniment alone.",
        ),
        *solver_inputs("Decides the noise that the sound is made from; the song itself stays.", prefix),
    ]


def solver_inputs(seed: str, prefix: str = "") -> list[io.Input]:
    """Seed, with its tooltip, steps and guidance; their names begin with `prefix`."""
    return [
        seed_input(seed, f"{prefix}seed"),
        io.Int.Input(
            f"{prefix}steps",
            default=RENDER_STEPS,
            min=1,
            max=200,
            tooltip="Steps of the solver; more are finer and slower. Released: 10, earlier 50.",
        ),
        guidance_input(
            RENDER_GUIDANCE,
            "How strictly tokens are followed; 1 takes half the time.",
            f"{prefix}guidance",
        ),
    ]


def memory_for(renderer: LoadedModel, takes: int, guidance: float) -> int:
    """Bytes that rendering takes side by side needs beside the weights."""
    rows = takes * (2 if guidance != 1 else 1)
    return render_bytes(renderer.config, renderer.dtype.itemsize, rows, memory.is_on_cuda(renderer))


def memory_to_decode(vae: LoadedModel, frames: int | None = None) -> int:
    """Bytes that decoding a chunk needs beside the weights; see `decode_bytes`."""
    return decode_bytes(vae.config, vae.dtype.itemsize, frames, memory.is_on_cuda(vae))


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
        )

    @classmethod
    def execute(cls, vae: LoadedModel, latent: dict) -> io.NodeOutput:
        latents, channels = latents_of(latent, vae.config.latent, "LeVo Decode"), vae.config.latent
        decode = decoder(vae, latents.samples.shape[0])
        audio = decode_track(latents, channels, decode, reporting.progress())
        return io.NodeOutput({"waveform": audio, "sample_rate": SAMPLE_RATE})


def prompt_of(style: Style, vae: LoadedModel | None, track: str, node: str) -> Prompt:
    """What leads a song in a style, made with the VAE on its device.

    Raises:
        ValueError: the style has no sound, or there is no VAE.
    """
    if style.vocals is None or style.accompaniment is None:
        raise ValueError(
            f"{node} cannot go on from this style, which has codes and no sound; disconnect its style "
            "input: the song follows the style through LeVo Conditioning all the same."
        )
    if vae is None:
        raise ValueError(f"{node} needs a vae to render with a style; connect LeVo Load VAE.")
    device = memory.place(vae, memory_to_decode(vae, PROMPT_FRAMES), whole=True)
    return style_prompt(
        vae.patcher.model, style.codes, style.vocals, style.accompaniment, track, device, vae.dtype
    )


def latent_of(song: SongLatents) -> dict:
    """A LATENT of a song's latents."""
    return {"samples": song.samples, "type": "audio", CONTEXT: song}


def decoder(vae: LoadedModel, rows: int) -> Decode:
    """Bring a VAE to its device; gives what decodes one track of `rows` songs there."""
    config = RendererConfig()
    device = memory.place(vae, memory_to_decode(vae) * rows, whole=True)
    # Half of what is free: the rest of the machine goes on.
    free = memory.free_memory(device) // 2
    window = memory_to_decode(vae, config.window) * rows
    chunk = chunk_frames(window, config.window, free, 2 * vae.config.overlap)

    def decode(latents: SongLatents, on_step: OnStep) -> torch.Tensor:
        model, least = vae.patcher.model, 2 * vae.config.overlap
        return memory.fitting(
            lambda frames: decode_song(model, latents, config, device, vae.dtype, frames, on_step),
            chunk,
            least,
        )

    return decode


def latents_of(latent: dict, channels: int, node: str) -> SongLatents:
    """What decoding needs of a LATENT, whether it comes from Render as it is or was cut, saved or loaded.

    Args:
        latent: [batch, channels, frames], or of twice the channels: a difference, see `levo.song.stems`.
        channels: of the VAE.
        node: whose input it is, for the message.

    Raises:
        ValueError: not the latents of a song.
    """
    samples = latent["samples"]
    if samples.ndim != 3 or samples.shape[1] not in (channels, 2 * channels):
        raise ValueError(
            f"{node} was given latents of shape {list(samples.shape)}; it needs a song's, "
            f"[batch, {channels}, frames], from LeVo Render."
        )
    made = latent.get(CONTEXT)
    if isinstance(made, SongLatents) and made.samples.shape == samples.shape:
        return SongLatents(samples.float().cpu(), made.tail, made.lead)
    return SongLatents(samples.float().cpu(), torch.zeros(*samples.shape[:2], 0), 0)
