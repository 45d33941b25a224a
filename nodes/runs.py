"""Runs of loaded models that several nodes share: composing, style prompts, decoding, and their needs."""

from __future__ import annotations

import logging
import time

from torch import Tensor

from ..levo.audio.sound import Sound
from ..levo.config import FRAME_RATE, PROMPT_FRAMES, LelmConfig, Sampling, require_number
from ..levo.files.damage import display_name
from ..levo.lelm.codes import codes_of
from ..levo.lelm.compose import ComposeRun, Composition
from ..levo.lelm.conditions import Conditions, prepare, song_text
from ..levo.memory import chunk_frames, compose_bytes, decode_bytes, render_bytes, separate_bytes
from ..levo.progress import OnStep
from ..levo.separator.split import SeparatedStems, split
from ..levo.song.decode import decode_song
from ..levo.song.latents import SongLatents, Track
from ..levo.song.render import Prompt, style_prompt
from ..levo.song.tokens import Composer, SongRequest, SongTokens, config_hash
from ..levo.text.style import conditioned
from .host import fits, graphs, memory
from .host.reporting import Progress, Report, show_text
from .sockets import LoadedLelm, LoadedModel, Style

log = logging.getLogger(__name__)

TINY = "tiny"  # in place of a file's name
MOST_SECONDS = 36_000  # that anybody asks for
CUT_SHOWN = 80  # characters of text that did not fit
BARE = (
    "These latents do not say what came after their end and where their windows lie, as they were changed, "
    "or saved by another node than Save Latent: the last 0.6 s and the joins may sound a little different."
)

# Composing ------------------------------------------------------------------------------------------------


def frames_for(seconds: float, config: LelmConfig, node: str) -> int:
    """Frames of a node's limit in seconds; 0 is the checkpoint's own.

    Raises:
        ValueError: no length, or longer than the checkpoint was made for.
    """
    require_number("length (max_seconds)", seconds, 0, MOST_SECONDS)
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


def memory_to_compose(lelm: LoadedLelm, frames: int, takes: int, kept: int = 0) -> int:
    """Bytes that composing needs beside the weights; see `compose_bytes`."""
    return compose_bytes(lelm.config, frames, lelm.dtype.itemsize, takes, kept, lelm.small_cache)


def say_if_short(lelm: LoadedLelm, needed: int, report: Report) -> None:
    """Say on a node that LeLM, as it was placed, does not fit with what a song needs beside it."""
    if text := fits.shortage(lelm, needed):
        report.remark(text)


def composer_of(lelm: LoadedLelm) -> Composer:
    """What tokens remember of the model that composed them."""
    name = display_name(lelm.file) if lelm.file else TINY
    return Composer(name, lelm.config.version, config_hash(lelm.config))


def tokens_of(
    takes: list[Composition],
    seeds: list[int],
    request: SongRequest,
    sampling: Sampling,
    lelm: LoadedLelm,
    report: Report,
) -> SongTokens:
    """Takes on one socket; those without a frame are left out and named.

    Raises:
        ValueError: no take has a frame.
    """
    tokens = SongTokens.of(takes, seeds, request, sampling, composer_of(lelm))
    if silent := [str(seed) for seed in seeds if seed not in tokens.seeds]:
        report.note(f"Left out, because they ended before their first frame: seeds {', '.join(silent)}.")
    return tokens


def composed(
    lelm: LoadedLelm,
    request: SongRequest,
    frames: int,
    sampling: Sampling,
    seeds: list[int],
    cuda_graph: bool,
    report: Report,
    kept: Tensor | None = None,
) -> SongTokens:
    """Compose a take for each seed, from the start or on from kept codes [1, 3, K]."""
    conditions, known = prepared(lelm, request, report), 0 if kept is None else kept.shape[2]
    needed = memory_to_compose(lelm, frames, len(seeds), known)
    device = memory.load_on_device(lelm, needed)
    say_if_short(lelm, needed, report)
    progress, start = Progress(), time.monotonic()
    with composing(lelm, conditions, frames, sampling, seeds, cuda_graph, kept) as run:
        while run.step():
            progress(run.done, run.total)
            report.composing(run.done, run.total)
        takes = run.result()
    spent = max(time.monotonic() - start, 1e-9)
    steps = max(take.steps for take in takes) - known
    log.info("LeLM composed %d steps on %s, %.1f steps a second", steps, device, steps / spent)
    tokens = tokens_of(takes, seeds, request, sampling, lelm, report)
    report.composed(tokens.lengths, tokens.ended, lelm.file is None)
    return tokens


def composing(
    lelm: LoadedLelm,
    conditions: Conditions,
    frames: int,
    sampling: Sampling,
    seeds: list[int],
    cuda_graph: bool,
    kept: Tensor | None = None,
) -> ComposeRun:
    """A run of LeLM where it was placed."""
    model, device = lelm.patcher.model, lelm.patcher.load_device
    execution = graphs.execution(lelm, cuda_graph, frames)
    return ComposeRun(model, conditions, frames, sampling, seeds, device, execution=execution, kept=kept)


# Rendering and decoding ----------------------------------------------------------------------------------


def memory_to_render(renderer: LoadedModel, takes: int, guidance: float) -> int:
    """Bytes that rendering takes side by side needs beside the weights."""
    rows = takes * (2 if guidance != 1 else 1)
    return render_bytes(renderer.config, renderer.dtype.itemsize, rows, memory.is_on_cuda(renderer))


def memory_to_decode(vae: LoadedModel, frames: int | None = None) -> int:
    """Bytes that decoding a chunk needs beside the weights; see `decode_bytes`."""
    return decode_bytes(vae.config, vae.dtype.itemsize, frames, memory.is_on_cuda(vae))


def prompt_of(style: Style, vae: LoadedModel | None, track: str, node: str) -> Prompt:
    """What leads a song in a style, made with the VAE on its device.

    Raises:
        ValueError: the style has no sound, or there is no VAE, or one that only decodes.
    """
    if style.vocals is None or style.accompaniment is None:
        raise ValueError(
            f"{node} cannot go on from this style, which has codes and no sound; disconnect its style "
            "input: the song follows the style through LeVo Conditioning all the same."
        )
    if vae is None:
        raise ValueError(f"{node} needs a vae to render with a style; connect LeVo Load VAE.")
    if vae.patcher.model.encoder is None:
        name = display_name(vae.file) if vae.file else "this VAE"
        raise ValueError(
            f"{node} cannot go on from the sound of this style: {name} holds the VAE's "
            "decoder alone; load autoencoder_music_1320k.ckpt in LeVo Load VAE, or disconnect the style "
            "input: the song follows the style through LeVo Conditioning all the same."
        )
    codes = codes_of(style.codes, "The style")
    device = memory.load_on_device(vae, memory_to_decode(vae, PROMPT_FRAMES), whole=True)
    return style_prompt(
        vae.patcher.model, codes, style.vocals, style.accompaniment, track, device, vae.dtype
    )


def say_if_bare(node_id: str | None, *tracks: Track) -> None:
    """Say on a node that latents came without what decoding needs beside them."""
    if not all(track.whole for track in tracks):
        show_text(node_id, BARE)


class Decoder:
    """A VAE on its device, and how much memory it may decode in there."""

    def __init__(self, vae: LoadedModel, rows: int):
        """Bring the VAE to its device, for tracks of `rows` songs."""
        self._vae, self._rows = vae, rows
        self._device = memory.load_on_device(vae, memory_to_decode(vae) * rows, whole=True)
        # Half of what is free: the rest of the machine goes on.
        self._free = memory.free_memory(self._device) // 2

    def __call__(self, latents: SongLatents, on_step: OnStep) -> Tensor:
        """[B, 2, samples] of a track; in smaller chunks where memory runs short."""
        vae, model, least = self._vae, self._vae.patcher.model, 2 * self._vae.config.overlap
        needed = memory_to_decode(vae, latents.window) * self._rows
        return memory.retry_smaller_on_oom(
            lambda frames: decode_song(model, latents, self._device, vae.dtype, frames, on_step),
            chunk_frames(needed, latents.window, self._free, least),
            least,
        )


def split_sound(separator: LoadedModel, sound: Sound, seed: int) -> SeparatedStems:
    """Stems of a sound at its own rate and with its own channels, with progress and Cancel."""
    device = memory.load_on_device(separator, separate_bytes(separator.config), whole=True)
    model, config = separator.patcher.model, separator.config
    return split(model, config, sound.waveform, sound.rate, seed, device, Progress())
