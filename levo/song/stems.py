"""The stems of a song: mix, vocals and accompaniment made together, and how they add up to the mix.

Rendering is not linear: three tracks rendered one by one never add up. Here the accompaniment may be what
the vocals leave of the mix: a `StemDifference`, until decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..audio.loudness import power_decibels
from ..config import RENDER_GUIDANCE, RENDER_STEPS, TRACKS, RenderSettings
from ..progress import OnStep, ignore
from ..renderer.model import Renderer
from ..renderer.windows import Noise
from .latents import SongLatents, StemDifference, Track
from .render import Prompt, render_songs, seeded_noise, tracks_of
from .tokens import seeds_from

SUM, RENDERED, INDEPENDENT_NOISE = "sum to mix", "rendered", "released"
MODES = (SUM, RENDERED, INDEPENDENT_NOISE)

Decode = Callable[[SongLatents, OnStep], Tensor]  # latents of one track to [B, 2, samples]


@dataclass(frozen=True)
class Stems:
    """Latents of the three tracks of one song."""

    mix: Track
    vocals: Track
    accompaniment: Track


def tracks_in(mode: str) -> tuple[str, ...]:
    """The tracks that a mode renders side by side."""
    return TRACKS[:2] if mode == SUM else TRACKS


def render_stems(
    renderer: Renderer,
    songs: Sequence[Tensor],
    mode: str = SUM,
    seed: int = 0,
    steps: int = RENDER_STEPS,
    guidance: float = RENDER_GUIDANCE,
    prompts: Sequence[Prompt] | None = None,
    device: torch.device | str = "cpu",
    on_step: OnStep = ignore,
) -> list[Stems]:
    """Latents of all tracks of songs, made as one batch.

    Args:
        renderer, steps, guidance, device, on_step: as of `render_songs`.
        songs: codes [1, 3, T] of each.
        mode: SUM: mix and vocals are rendered from the same noise, the accompaniment is their difference.
            RENDERED: all three are rendered from the same noise. INDEPENDENT_NOISE: all three, each from
            its own noise, as the published code does: the vocals' seed is the next one, the accompaniment's
            the one after it.
        seed: of the mix's noise, which is the one that `seeded_noise` gives.
        prompts: style prompt of each of `tracks_in(mode)`, of one row and one length.
    """
    tracks = tracks_in(mode)
    rows = [torch.cat([silenced(codes, track) for track in tracks]) for codes in songs]
    seeds = seeds_from(seed, len(tracks)) if mode == INDEPENDENT_NOISE else [seed] * len(tracks)
    noises = [_noise(seeds, renderer) for _ in songs]
    prompt = None
    if prompts:
        rows_of = (torch.cat([getattr(each, field.name) for each in prompts]) for field in fields(Prompt))
        prompt = Prompt(*rows_of)
    settings = RenderSettings(steps=steps, guidance=guidance)
    latents = render_songs(renderer, rows, noises, settings, prompt, device, on_step)
    return [_stems(song) for song in latents]


def _noise(seeds: Sequence[int], renderer: Renderer) -> Noise:
    """Noise of a row for each seed."""
    each = [seeded_noise(seed, 1, renderer.config) for seed in seeds]
    return lambda window: torch.cat([noise(window) for noise in each])


def _stems(latents: SongLatents) -> Stems:
    """Stems of latents that are rows: two or three."""
    mix, vocals, *others = latents.rows()
    return Stems(mix, vocals, others[0] if others else StemDifference(mix, vocals))


def silenced(codes: Tensor, track: str) -> Tensor:
    """Song codes [B, 3, T] whose mix is the track alone."""
    return torch.stack((codes[:, 0], *tracks_of(codes, track)), dim=1)


def decode_track(track: Track, decode: Decode, on_step: OnStep = ignore) -> Tensor:
    """Decode one track, a difference too.

    Args:
        track: latents.
        decode: turns latents of a track into sound; told where to report (done, total).
        on_step: told (done, total) of all that is decoded.

    Returns:
        [B, 2, samples].
    """
    if isinstance(track, SongLatents):
        return decode(track, on_step)
    mix, vocals = (decode(part, _share(on_step, n, 2)) for n, part in enumerate((track.mix, track.vocals)))
    return mix - vocals


def decode_stems(stems: Stems, decode: Decode, on_step: OnStep = ignore) -> tuple[Tensor, ...]:
    """Decode mix, vocals and accompaniment; see `decode_track`.

    An accompaniment that is the difference of this mix and these vocals is taken from their sound.
    """
    accompaniment = stems.accompaniment
    derived = isinstance(accompaniment, StemDifference) and accompaniment.is_of(stems.mix, stems.vocals)
    tracks: list[Track] = [stems.mix, stems.vocals, *([] if derived else [accompaniment])]
    sounds = [
        decode_track(track, decode, _share(on_step, n, len(tracks))) for n, track in enumerate(tracks)
    ]
    return (*sounds, sounds[0] - sounds[1]) if derived else tuple(sounds)


def residual_db(mix: Tensor, vocals: Tensor, accompaniment: Tensor) -> float:
    """Level (RMS) in dBFS of what vocals and accompaniment leave of the mix; see `power_decibels`."""
    return power_decibels((mix - vocals - accompaniment).double().square().mean().item())


def _share(on_step: OnStep, number: int, count: int) -> OnStep:
    """Where one of `count` equal pieces of work reports its own progress."""
    return lambda done, total: on_step(number * total + done, count * total)
