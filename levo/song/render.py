"""Codes of songs to latents, window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..audio.sound import SoundError, is_sound
from ..config import (
    SAMPLES_PER_FRAME,
    SILENT_ACCOMPANIMENT,
    SILENT_VOCAL,
    TRACKS,
    RendererConfig,
    RenderSettings,
)
from ..progress import OnStep, ignore, part_of
from ..renderer.model import Renderer
from ..renderer.windows import Noise, RenderInput, WindowRenderer
from ..vae.chunks import BROKEN_VAE
from ..vae.oobleck import Vae
from .latents import SongLatents
from .tokens import require_seed

BROKEN_RENDERER = (
    "The renderer made numbers that are no latents (NaN or infinite); load it in fp32, or download its "
    "file again."
)

OnWindow = Callable[[int, int, Tensor], None]  # song, first frame, latents


@dataclass(frozen=True)
class Prompt:
    """The style prompt that leads a song: 10 s that are known and cut off again."""

    vocal: Tensor  # [B, n] codes
    accompaniment: Tensor  # [B, n] codes
    latents: Tensor  # [B, n, 64] of the VAE


def seeded_noise(seed: int, batch: int, config: RendererConfig) -> Noise:
    """Noise for one window after the other, drawn on the CPU so that all devices get the same."""
    require_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    return lambda window: torch.randn(batch, config.window, config.latent, generator=generator)


def style_prompt(
    vae: Vae,
    codes: Tensor,
    vocals: Tensor,
    accompaniment: Tensor,
    track: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Prompt:
    """What leads a song in the style of a clip; the track not asked for is silent in it too.

    The latents are the mean that the VAE's encoder gives: nothing is drawn.

    Args:
        vae: on `device` (or streaming to it).
        codes: style prompt codes [1, 3, 250].
        vocals, accompaniment: of the clip, [1, 2, samples] at 48 kHz; whole frames of up to 250 count.
        track: of TRACKS.
        device, dtype: of the encoder.

    Raises:
        SoundError: the encoder made numbers that are none.
    """
    frames = min(codes.shape[2], vocals.shape[2] // SAMPLES_PER_FRAME)
    sound = {"vocals": vocals, "accompaniment": accompaniment}.get(track, vocals + accompaniment)
    mean, _ = vae.encode(sound[..., : frames * SAMPLES_PER_FRAME].to(device, dtype))
    if not is_sound(mean):
        raise SoundError(BROKEN_VAE)
    vocal_codes, accompaniment_codes = tracks_of(codes[..., :frames], track)
    return Prompt(vocal_codes, accompaniment_codes, mean.transpose(1, 2).float().cpu())


def tracks_of(codes: Tensor, track: str) -> tuple[Tensor, Tensor]:
    """Vocal and accompaniment codes [B, T] of [B, 3, T] song codes; the track not asked for is silent.

    Raises:
        ValueError: unknown track.
    """
    if track not in TRACKS:
        raise ValueError(f"There is no track {track!r}; choose one of {', '.join(TRACKS)}.")
    vocal, accompaniment = codes[:, 1], codes[:, 2]
    if track == "vocals":
        accompaniment = torch.full_like(accompaniment, SILENT_ACCOMPANIMENT)
    if track == "accompaniment":
        vocal = torch.full_like(vocal, SILENT_VOCAL)
    return vocal, accompaniment


def render_songs(
    renderer: Renderer,
    songs: Sequence[Tensor],
    noises: Sequence[Noise],
    settings: RenderSettings = RenderSettings(),
    prompt: Prompt | None = None,
    device: torch.device | str = "cpu",
    on_step: OnStep = ignore,
) -> list[SongLatents]:
    """Latents of one track of songs of any lengths, made side by side.

    Args:
        renderer: on `device` (or streaming to it).
        songs: codes [B, 3, T] int64 of each, T >= 1, without padding.
        noises: of each song; see `seeded_noise`. A song sounds as it would alone.
        settings: track, steps and guidance; the defaults are the released ones.
        prompt: style prompt to lead the first window of every song, of 1 or B rows.
        device: where the solver runs.
        on_step: called with (solver steps done, in all).
    """
    rendering = SongRenderer(renderer, noises, settings, prompt, device)
    return rendering.finish(dict(enumerate(songs)), on_step)


class SongRenderer:
    """One track of songs under way: window by window, as the codes become known."""

    def __init__(
        self,
        renderer: Renderer,
        noises: Sequence[Noise],
        settings: RenderSettings = RenderSettings(),
        prompt: Prompt | None = None,
        device: torch.device | str = "cpu",
        on_window: OnWindow = lambda song, start, latents: None,
    ):
        """Start with nothing made; see `render_songs`.

        Args:
            noises: of each song, by its number.
            on_window: called when a window is made, for each song that has it, with the song's number and
                the latents [B, 64, T] on the CPU that the window adds from frame `start` on. In the end
                each frame of each song was given once.
        """
        self._prompt_frames = 0 if prompt is None else prompt.latents.shape[1]
        self._rendering = WindowRenderer(
            renderer,
            settings.steps,
            settings.guidance,
            None if prompt is None else prompt.latents.to(device),
        )
        self._noises, self._track, self._prompt, self._device = noises, settings.track, prompt, device
        self._on_window = on_window

    @property
    def needs(self) -> int:
        """Frames of a song that decide its next window; later ones change nothing of it."""
        return self._rendering.span[1] - self._prompt_frames

    def steps_for(self, frames: int) -> int:
        """Solver steps that a song of so many frames takes."""
        return self._rendering.steps * self._rendering.windows(self._prompt_frames + frames).count

    def next(self, songs: Mapping[int, Tensor], on_step: OnStep = ignore) -> bool:
        """Make the next window of all songs that have one; tells whether there was any.

        Args:
            songs: codes [B, 3, T] by number, T >= 1, without padding. Where a song is not known to its
                end, T is `needs` or more.
            on_step: called with (solver steps done, those of the window).

        Raises:
            SoundError: the window has numbers that are no latents.
        """
        first, _ = self._rendering.fresh
        windows = self._rendering.next({n: self._take(n, codes) for n, codes in songs.items()}, on_step)
        if not all(is_sound(latents) for latents in windows.values()):
            raise SoundError(BROKEN_RENDERER)
        start = max(0, first - self._prompt_frames)
        for number, latents in windows.items():
            fresh = latents[:, max(0, self._prompt_frames - first) :].transpose(1, 2)
            self._on_window(number, start, fresh[:, :, : songs[number].shape[2] - start].cpu())
        return bool(windows)

    def finish(self, songs: Mapping[int, Tensor], on_step: OnStep = ignore) -> list[SongLatents]:
        """Make the windows that are left of songs that are known to their ends, and give the songs.

        Args:
            songs: codes [B, 3, T] by number, T >= 1, without padding.
            on_step: called with (solver steps done, in all), those from before included.
        """
        config = self._rendering.renderer.config
        total = self.steps_for(max(codes.shape[2] for codes in songs.values()))
        while self.next(songs, part_of(on_step, self.steps_done, total)):
            pass
        return [
            SongLatents.cut(self._rendering.latents(number), codes.shape[2], self._prompt_frames, config)
            for number, codes in songs.items()
        ]

    @property
    def steps_done(self) -> int:
        """Solver steps of the windows that are made."""
        return self._rendering.steps * self._rendering.number

    def _take(self, number: int, codes: Tensor) -> RenderInput:
        vocal, accompaniment = tracks_of(codes, self._track)
        if (prompt := self._prompt) is not None:
            vocal = torch.cat((prompt.vocal.expand(len(codes), -1), vocal), dim=1)
            accompaniment = torch.cat((prompt.accompaniment.expand(len(codes), -1), accompaniment), dim=1)
        return RenderInput(vocal.to(self._device), accompaniment.to(self._device), self._noises[number])
