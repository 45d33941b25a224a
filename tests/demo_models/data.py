"""Training examples as tensors: codes of composed songs, and their sound from tables."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from . import codes, composer, synthesis, theory

VOCAL_ROWS = 1 + codes.NOTES  # silence first
ACCOMPANIMENT_ROWS = 1 + codes.CHORD_FRAMES


def vocal_row(code: np.ndarray) -> np.ndarray:
    """Rows of small tables of vocal codes."""
    return np.where(code == codes.SILENT_VOCAL, 0, code - codes.VOCAL + 1)


def accompaniment_row(code: np.ndarray) -> np.ndarray:
    """Rows of small tables of accompaniment codes."""
    return np.where(code == codes.SILENT_ACCOMPANIMENT, 0, code - codes.ACCOMPANIMENT + 1)


@lru_cache(maxsize=1)
def voice_table() -> Tensor:
    """[rows, 4, HOP + FADE]: all vocal codes at all places of four."""
    table = torch.zeros(VOCAL_ROWS, theory.PERIOD, synthesis.HOP + synthesis.FADE)
    stages, pitches, vowels = codes.note_of(codes.VOCAL + np.arange(codes.NOTES))
    for row, note in enumerate(zip(stages.tolist(), pitches.tolist(), vowels.tolist(), strict=True)):
        for phase in range(theory.PERIOD):
            table[row + 1, phase] = torch.from_numpy(synthesis.voice_frame(*note, phase)).float()
    return table


@lru_cache(maxsize=1)
def chord_table() -> Tensor:
    """[chord, struck, band, density, 4, 2, HOP + FADE]."""
    chords, struck, _, bands, densities = codes.CHORD_SHAPE
    shape = (chords, struck, bands, densities, theory.PERIOD)
    table = torch.zeros(*shape, 2, synthesis.HOP + synthesis.FADE)
    for index in np.ndindex(shape):
        table[index] = torch.from_numpy(synthesis.chord_frame(*index)).float()
    return table


@lru_cache(maxsize=1)
def drum_table() -> Tensor:
    """[drum, HOP + FADE]."""
    drums = [synthesis.drum_frame(drum) for drum in range(len(codes.DRUMS))]
    return torch.from_numpy(np.stack(drums)).float()


def joined(pieces: Tensor) -> Tensor:
    """[B, T, channels, HOP + FADE] to [B, channels, T * HOP]; see synthesis._joined."""
    fade, hop = synthesis.FADE, synthesis.HOP
    ramp = torch.sin(torch.pi / 2 * (torch.arange(fade) + 0.5) / fade) ** 2
    tails = pieces[..., hop:] * (1 - ramp)
    body = pieces[..., :hop].clone()
    body[..., :fade] *= ramp
    body[:, 1:, :, :fade] += tails[:, :-1]
    return body.transpose(1, 2).flatten(2)


def sound(vocal: Tensor, band: Tensor, start: Tensor) -> Tensor:
    """Sound [B, 2, T * HOP] of codes [B, T] of both tracks whose first frame is `start` [B] in its song."""
    phase = (start[:, None] + torch.arange(vocal.shape[1])) % theory.PERIOD
    voice = voice_table()[torch.from_numpy(vocal_row(vocal.numpy())), phase][:, :, None]
    chord, struck, drum, style, density = (torch.from_numpy(part) for part in codes.chord_of(band.numpy()))
    sounding = (chord >= 0)[..., None, None]
    pieces = chord_table()[chord.clamp(min=0), struck, style, density, phase]
    drums = drum_table()
    loud = torch.where(density == 1, synthesis.LOUD, 1.0)[..., None]
    pieces = (pieces + (drums[drum] * loud)[:, :, None]) * sounding
    return joined(voice) + joined(pieces)


class Songs:
    """Codes of many composed songs, to cut crops from."""

    def __init__(self, first_seed: int, count: int):
        self.codes = [
            torch.from_numpy(composer.random_song(first_seed + n).frames.codes()) for n in range(count)
        ]

    def seen(self) -> list[set[int]]:
        """Codes of each stream that there are, and silence."""
        silence: tuple[set[int], ...] = (set(), {codes.SILENT_VOCAL}, {codes.SILENT_ACCOMPANIMENT})
        return [set(torch.cat([song[k] for song in self.codes]).tolist()) | silence[k] for k in range(3)]

    def crops(self, rng: np.random.Generator, count: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Vocal and accompaniment codes [count, frames] and the places of their first frames [count].

        In half of them one of the tracks is silent.
        """
        vocal = torch.full((count, frames), codes.SILENT_VOCAL)
        band = torch.full((count, frames), codes.SILENT_ACCOMPANIMENT)
        starts = torch.zeros(count, dtype=torch.long)
        for n in range(count):
            song = self.codes[int(rng.integers(len(self.codes)))]
            start = int(rng.integers(0, max(1, song.shape[1] - frames)))
            crop = song[:, start : start + frames]
            which = rng.random()
            if which > 0.25:
                vocal[n, : crop.shape[1]] = crop[1]
            if which < 0.75:
                band[n, : crop.shape[1]] = crop[2]
            starts[n] = start
        return vocal, band, starts
