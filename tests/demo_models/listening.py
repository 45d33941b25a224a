"""What can be measured of a song's sound: pitch, key, tempo, loudness. Knows no model."""

from __future__ import annotations

import numpy as np

from levo.config import SAMPLE_RATE as RATE
from levo.config import SAMPLES_PER_FRAME as HOP

from . import theory

WINDOW = 4_096
LOWEST, HIGHEST = 80.0, 650.0  # Hz of a sung pitch
CLEAR = 0.75  # of the autocorrelation, where 1 is a perfectly periodic sound
HEARD = 0.01  # level (RMS) of a frame in which something sounds


def levels(sound: np.ndarray) -> np.ndarray:
    """Level (RMS) of each frame of [2, samples]."""
    mono = sound.mean(0)
    frames = len(mono) // HOP
    return np.sqrt(np.mean(mono[: frames * HOP].reshape(frames, HOP) ** 2, axis=1))


def levels_between(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Level (RMS) of each frame of [2, samples], of what lies between two frequencies in Hz."""
    mono = sound.mean(0)
    frames = len(mono) // HOP
    spectrum = np.fft.rfft(mono[: frames * HOP].reshape(frames, HOP) * np.hanning(HOP))
    frequency = np.fft.rfftfreq(HOP, 1 / RATE)
    power = np.abs(spectrum[:, (frequency >= low) & (frequency < high)]) ** 2
    return np.sqrt(2 * power.sum(1)) / HOP


def pitches(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch in Hz and clarity of each frame of [2, samples], by normalised autocorrelation.

    The shortest lag counts whose peak is nearly as high as the highest (McLeod and Wyvill, 2005).
    """
    mono = sound.mean(0)
    frames = len(mono) // HOP
    padded = np.pad(mono, (WINDOW // 2, WINDOW))
    shortest, longest = int(RATE / HIGHEST), int(RATE / LOWEST)
    found, clarity = np.zeros(frames), np.zeros(frames)
    for n in range(frames):
        start = n * HOP + HOP // 2
        part = padded[start : start + WINDOW]
        spectrum = np.fft.rfft(part, 2 * WINDOW)
        raw = np.fft.irfft(np.abs(spectrum) ** 2)[: longest + 2]
        squares = np.concatenate(([0.0], np.cumsum(part**2)))
        lags = np.arange(longest + 2)
        energy = squares[WINDOW - lags] + squares[WINDOW] - squares[lags]
        normed = 2 * raw / (energy + 1e-9)
        inner = normed[shortest : longest + 1]
        peaks = np.flatnonzero(
            (inner >= normed[shortest - 1 : longest]) & (inner > normed[shortest + 1 :][: len(inner)])
        )
        if not len(peaks):
            continue
        best = next(p for p in peaks if inner[p] >= 0.9 * inner[peaks].max())
        lag = best + shortest
        left, mid, right = normed[lag - 1 : lag + 2]
        shift = 0.5 * (left - right) / (left - 2 * mid + right - 1e-12)
        found[n], clarity[n] = RATE / (lag + shift), mid
    return found, clarity


def cents_off_scale(frequency: np.ndarray) -> np.ndarray:
    """Distance in cents of pitches in Hz from the nearest note of the composer's scale."""
    scale = np.log2(np.array(theory.SCALE) * theory.UNIT)
    octave = np.log2(frequency)[:, None] - scale
    return 1200 * np.abs(octave - np.round(octave)).min(1)


def tempo(sound: np.ndarray, eighths: tuple[float, ...]) -> float:
    """Which of some lengths of an eighth, in frames, fits the beginnings of sounds in [2, samples] best.

    Beginnings are where the spectrum grows; what they are compared with is themselves, 1 to 8 eighths on.
    """
    size = 480  # 100 a second
    mono = sound.mean(0)
    count = len(mono) // size - 4
    frames = np.stack([mono[n * size : n * size + 2048] for n in range(count)]) * np.hanning(2048)
    magnitude = np.log1p(20 * np.abs(np.fft.rfft(frames, axis=1))[:, :512])
    onsets = np.maximum(np.diff(magnitude, axis=0), 0).sum(1)
    onsets = onsets - onsets.mean()
    spectrum = np.fft.rfft(onsets, 2 * len(onsets))
    same = np.fft.irfft(np.abs(spectrum) ** 2)[: len(onsets)]
    lags = np.arange(len(same))

    def fit(eighth: float) -> float:
        return float(np.mean([np.interp(4 * eighth * k, lags, same) for k in range(1, 9)]))

    return max(eighths, key=fit)
