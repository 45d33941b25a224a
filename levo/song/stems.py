"""The stems of a song: mix, vocals and accompaniment made together, and how they add up to the mix.

Rendering is not linear: three tracks rendered one by one never add up. Here the accompaniment may be what
the vocals leave of the mix; its latents are then those of both, one above the other, until decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..audio.loudness import NOTHING
from ..config import RENDER_GUIDANCE, RENDER_STEPS
from ..renderer.model import Renderer
from ..renderer.windows import Noise
from .render import TRACKS, OnStep, Prompt, SongLatents, render_songs, seeded_noise, tracks_of

SUM, RENDERED, RELEASED = "sum to mix", "rendered", "released"
MODES = (SUM, RENDERED, RELEASED)
SEEDS = 1 << 64  # after the last seed comes the first

Decode = Callable[[SongLatents, OnStep], Tensor]  # latents of one track to [B, 2, samples]


@dataclass(frozen=True)
class Stems:
    """Latents of the three tracks of one song; see `difference` for an accompaniment that is one."""

    mix: SongLatents
    vocals: SongLatents
    accompaniment: SongLatents


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
    on_step: OnStep = lambda done, total: None,
) -> list[Stems]:
    """Latents of all tracks of songs, made as one batch.

    Args:
        renderer, steps, guidance, device, on_step: as of `render_songs`.
        songs: codes [1, 3, T] of each.
        mode: SUM: mix and vocals are rendered from the same noise, the accompaniment is their difference.
            RENDERED: all three are rendered from the same noise. RELEASED: all three, each from its own
            noise, as the published code does: the vocals' seed is the next one, the accompaniment's the one
            after it.
        seed: of the mix's noise, which is the one that `seeded_noise` gives.
        prompts: style prompt of each of `tracks_in(mode)`, of one row and one length.
    """
    tracks = tracks_in(mode)
    rows = [torch.cat([silenced(codes, track) for track in tracks]) for codes in songs]
    seeds = [(seed + number) % SEEDS if mode == RELEASED else seed for number in range(len(tracks))]
    noises = [_noise(seeds, renderer) for _ in songs]
    prompt = prompts and Prompt(
        *(torch.cat([getattr(each, field.name) for each in prompts]) for field in fields(Prompt))
    )
    made = render_songs(renderer, rows, noises, "mix", steps, guidance, prompt, device, on_step)
    return [_stems(latents) for latents in made]


def _noise(seeds: Sequence[int], renderer: Renderer) -> Noise:
    """Noise of a row for each seed."""
    each = [seeded_noise(seed, 1, renderer.config) for seed in seeds]
    return lambda window: torch.cat([noise(window) for noise in each])


def _stems(latents: SongLatents) -> Stems:
    """Stems of latents that are rows: two or three."""
    rows = zip(latents.samples.split(1), latents.tail.split(1), strict=True)
    mix, vocals, *rest = (SongLatents(samples, tail, latents.lead) for samples, tail in rows)
    return Stems(mix, vocals, rest[0] if rest else difference(mix, vocals))


def silenced(codes: Tensor, track: str) -> Tensor:
    """Song codes [B, 3, T] whose mix is the track alone."""
    return torch.stack((codes[:, 0], *tracks_of(codes, track)), dim=1)


def difference(mix: SongLatents, vocals: SongLatents) -> SongLatents:
    """What decodes to the mix without the vocals: latents of both, [B, 128, T], the mix above."""
    samples, tail = (
        torch.cat((getattr(mix, name), getattr(vocals, name)), dim=1) for name in ("samples", "tail")
    )
    return SongLatents(samples, tail, mix.lead)


def decode_track(latents: SongLatents, channels: int, decode: Decode, on_step: OnStep) -> Tensor:
    """Decode one track, a difference too.

    Args:
        latents: [B, 64, T], or [B, 128, T] of a difference.
        channels: of a track's latents, 64.
        decode: turns latents of a track into sound; told where to report (done, total).
        on_step: told (done, total) of all that is decoded.

    Returns:
        [B, 2, samples].
    """
    parts = _parts(latents, channels)
    sounds = [decode(part, _share(on_step, n, len(parts))) for n, part in enumerate(parts)]
    return sounds[0] if len(sounds) == 1 else sounds[0] - sounds[1]


def decode_stems(stems: Stems, channels: int, decode: Decode, on_step: OnStep) -> tuple[Tensor, ...]:
    """Decode mix, vocals and accompaniment; see `decode_track`.

    An accompaniment that is the difference of this mix and these vocals is taken from their sound.
    """
    given = torch.cat((stems.mix.samples, stems.vocals.samples), dim=1)
    known = torch.equal(stems.accompaniment.samples, given)
    tracks = [stems.mix, stems.vocals] if known else [stems.mix, stems.vocals, stems.accompaniment]
    sounds = [
        decode_track(track, channels, decode, _share(on_step, n, len(tracks)))
        for n, track in enumerate(tracks)
    ]
    return (*sounds, sounds[0] - sounds[1]) if known else tuple(sounds)


def residual_db(mix: Tensor, vocals: Tensor, accompaniment: Tensor) -> float:
    """Level (RMS) in dBFS of what vocals and accompaniment leave of the mix, at least NOTHING."""
    power = (mix - vocals - accompaniment).double().square().mean()
    return max(NOTHING, 10 * torch.log10(power).item())


def _parts(latents: SongLatents, channels: int) -> list[SongLatents]:
    both = zip(latents.samples.split(channels, dim=1), latents.tail.split(channels, dim=1), strict=True)
    return [SongLatents(samples, tail, latents.lead) for samples, tail in both]


def _share(on_step: OnStep, number: int, count: int) -> OnStep:
    """Where one of `count` equal pieces of work reports its own progress."""
    return lambda done, total: on_step(number * total + done, count * total)
