"""What frames sound like: a formant voice and a small band, by adding partials.

A frame is 0.04 s at 48 kHz. What it sounds like follows from its code and from its place among the four
frames after which all oscillators have come round (`theory.PERIOD`); neighbours are joined by short
crossfades, in which a tone that goes on goes on smoothly.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from levo.config import SAMPLE_RATE as RATE
from levo.config import SAMPLES_PER_FRAME as HOP

from . import codes, theory

FADE = 384  # samples over which a frame gives way to the next
HIGHEST = 7_000.0  # Hz of the highest partial
VIBRATO, DEPTH = 6.25, 0.010  # Hz, and share of the pitch
# Hz of the first three formants of a low voice; those of a high one lie HIGHER times as high.
FORMANTS = {
    "a": (750, 1150, 2500),
    "e": (480, 1850, 2500),
    "i": (290, 2250, 2950),
    "o": (450, 820, 2500),
    "u": (330, 700, 2300),
}
WIDTHS, HEIGHTS, HIGHER = (110.0, 150.0, 220.0), (1.0, 0.55, 0.3), 1.15
# Partials of the instrument of a band, and its level in the frames STRUCK, RINGING and FADED.
PARTIALS = {
    "pop": (1.0, 0.25, 0.1, 0.22, 0.03),
    "ballad": tuple(k**-1.1 for k in range(1, 9)),
    "rock": tuple(k**-0.75 for k in range(1, 13)),
    "electronic": tuple(k**-1.0 if k % 2 else 0.0 for k in range(1, 12)),
    "jazz": (1.0, 0.5, 0.3, 0.15, 0.0, 0.1),
}
LEVELS = {
    "pop": (1.0, 0.75, 0.4),
    "ballad": (0.7, 0.8, 0.8),
    "rock": (1.0, 0.85, 0.6),
    "electronic": (1.0, 0.7, 0.25),
    "jazz": (1.0, 0.6, 0.3),
}
INSTRUMENT, BASS, VOICE, LOUD = 0.05, 0.10, 0.16, 1.45
BASS_PARTIALS = (1.0, 0.6, 0.3, 0.15, 0.08)
PAN = (-0.5, 0.0, 0.5, 0.25)  # of the notes of a chord, -1 left, 1 right
# Hz of the partials of a hat: metal, so none is a multiple of another; none above what the small VAE keeps.
HAT_PARTIALS = (3_060.0, 3_540.0, 4_110.0, 4_590.0, 5_230.0, 5_870.0)


def _time(phase: int) -> np.ndarray:
    return (phase * HOP + np.arange(HOP + FADE)) / RATE


def _noise(seed: int, low: float, high: float) -> np.ndarray:
    """A frame of noise between two frequencies in Hz, level (RMS) 1; always the same."""
    size = HOP + FADE
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    noise = np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)), size)
    return noise / np.sqrt(np.mean(noise**2))


def formant_gain(frequency: np.ndarray, vowel: str, high: bool) -> np.ndarray:
    """How strongly a throat lets frequencies in Hz pass."""
    scale = HIGHER if high else 1.0
    gain = np.full_like(frequency, 0.02)
    for centre, width, height in zip(FORMANTS[vowel], WIDTHS, HEIGHTS, strict=True):
        gain += height / (1 + ((frequency - centre * scale) / (width * scale)) ** 2)
    return gain


@cache
def voice_frame(stage: int, pitch: int, vowel: int, phase: int) -> np.ndarray:
    """[HOP + FADE] of a sung frame, without its fades."""
    t = _time(phase)
    local = t - t[0]
    tone = theory.VOICES[pitch] * theory.UNIT
    high = pitch >= len(theory.LOW_VOICE)
    ends = HOP / RATE
    scoop = 0.04 * np.clip(1 - local / ends, 0, 1) ** 2 if stage in (codes.HARD, codes.SOFT) else 0 * local
    angle = 2 * np.pi * tone * t + tone * DEPTH / VIBRATO * np.sin(2 * np.pi * VIBRATO * t)
    angle = angle - 2 * np.pi * tone * np.cumsum(scoop[::-1])[::-1] / RATE * -1
    count = int(HIGHEST / tone)
    k = np.arange(1, count + 1)
    gains = formant_gain(k * tone, codes.VOWELS[vowel], high) * k**-0.35
    gains /= np.sqrt(np.sum(gains**2) / 2)
    sound = np.sin(np.outer(angle, k)) @ gains
    if stage == codes.SOFT:
        hum = np.sin(angle) * 0.7
        turn = np.clip(local / 0.03, 0, 1)
        sound = hum * (1 - turn) + sound * turn
    if stage == codes.HARD:
        hiss = _noise(1, 2_500, 6_500) * 0.5 * np.exp(-((local - 0.008) ** 2) / 2e-5)
        sound = sound * np.clip((local - 0.012) / 0.015, 0, 1) + hiss
    if stage == codes.RELEASE:
        sound = sound * np.cos(np.pi / 2 * np.clip(local / ends, 0, 1)) ** 2
    return VOICE * sound


def _tone(units: float, partials: tuple[float, ...], t: np.ndarray) -> np.ndarray:
    k = np.arange(1, len(partials) + 1)
    audible = np.where(k * units * theory.UNIT < HIGHEST, partials, 0.0)
    return np.sin(2 * np.pi * units * theory.UNIT * np.outer(t, k)) @ audible


@cache
def chord_frame(chord: int, struck: int, band: int, density: int, phase: int) -> np.ndarray:
    """[2, HOP + FADE] of a chord and its bass, without their fades."""
    t = _time(phase)
    name, style = codes.CHORDS[chord], codes.BANDS[band]
    bass, triad, seventh = theory.CHORD_NOTES[name]
    notes = (
        (*triad, seventh)
        if style == "jazz"
        else (triad[0], triad[2] if style == "rock" else triad[1], triad[2])
    )
    levels = LEVELS[style]
    after = levels[min(struck + 1, codes.FADED)]
    envelope = np.linspace(levels[struck], (levels[struck] + after) / 2, len(t))
    if struck == codes.STRUCK:
        envelope = envelope * np.clip((t - t[0]) / 0.004, 0.2, 1)
    sound = np.zeros((2, len(t)))
    partials = PARTIALS[style]
    size = INSTRUMENT / np.sqrt(sum(p**2 for p in partials) / 2) * (0.8 if style == "jazz" else 1)
    for note, pan in zip(notes, PAN, strict=False):
        line = _tone(note, partials, t)
        if density:
            line = line + 0.35 * _tone(2 * note, partials[:4], t)
        sound += size * np.outer((1 - pan, 1 + pan), line)
    low = BASS * _tone(bass, BASS_PARTIALS, t)
    return (sound + low) * envelope * (LOUD if density else 1)


@cache
def drum_frame(drum: int) -> np.ndarray:
    """[HOP + FADE] of a drum; the second frame of one goes on where the first stops."""
    local = np.arange(HOP + FADE) / RATE
    after = drum in (codes.KICK_AFTER, codes.SNARE_AFTER)
    t = local + (HOP / RATE if after else 0)
    if drum in (codes.KICK, codes.KICK_AFTER):
        sweep = 2 * np.pi * (50 * t + 90 * 0.03 * (1 - np.exp(-t / 0.03)))
        return 0.5 * np.sin(sweep) * np.exp(-t / 0.035)
    if drum in (codes.SNARE, codes.SNARE_AFTER):
        rattle = _noise(2 + after, 800, 6_000) * 0.22
        return (rattle + 0.25 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / 0.03)
    if drum == codes.HAT:
        plate = sum(np.sin(2 * np.pi * frequency * t) for frequency in HAT_PARTIALS)
        return 0.07 * plate * np.exp(-t / 0.014)
    return 0 * t


def _joined(pieces: np.ndarray) -> np.ndarray:
    """Frames [T, channels, HOP + FADE] to sound [channels, T * HOP], each giving way to the next."""
    ramp = np.sin(np.pi / 2 * (np.arange(FADE) + 0.5) / FADE) ** 2
    pieces = pieces.copy()
    tails = pieces[:, :, HOP:] * (1 - ramp)
    pieces[:, :, :FADE] *= ramp
    pieces[1:, :, :FADE] += tails[:-1]
    return pieces[:, :, :HOP].transpose(1, 0, 2).reshape(pieces.shape[1], -1)


def vocals(vocal: np.ndarray, start: int = 0) -> np.ndarray:
    """Sound [2, T * HOP] of vocal codes [T]; `start` is the place in the song of the first frame."""
    stages, pitches, vowels = codes.note_of(vocal)
    pieces = np.zeros((len(vocal), 1, HOP + FADE))
    for n, (stage, pitch, vowel) in enumerate(zip(stages, pitches, vowels, strict=True)):
        if pitch >= 0:
            pieces[n] = voice_frame(int(stage), int(pitch), int(vowel), (start + n) % theory.PERIOD)
    return np.repeat(_joined(pieces), 2, axis=0).astype(np.float32)


def accompaniment(band: np.ndarray, start: int = 0) -> np.ndarray:
    """Sound [2, T * HOP] of accompaniment codes [T]; see `vocals`."""
    pieces = np.zeros((len(band), 2, HOP + FADE))
    for n, (chord, struck, drum, style, density) in enumerate(zip(*codes.chord_of(band), strict=True)):
        if chord >= 0:
            phase = (start + n) % theory.PERIOD
            pieces[n] = chord_frame(int(chord), int(struck), int(style), int(density), phase)
            pieces[n] += drum_frame(int(drum)) * (LOUD if density else 1)
    return _joined(pieces).astype(np.float32)
