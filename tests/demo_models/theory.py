"""Pitches, chords and progressions of the composer.

All pitches are whole multiples of 6.25 Hz, so that every sound repeats after 4 frames (0.16 s): what a
frame sounds like then depends on its code and on its place among four, which a small renderer can learn.
The scale is D major in just intonation on 150 Hz, or B minor, which has the same notes.
"""

from __future__ import annotations

UNIT = 6.25  # Hz
PERIOD = 4  # frames after which everything repeats
SCALE = (24, 27, 30, 32, 36, 40, 45)  # units of one octave: 1, 9/8, 5/4, 4/3, 3/2, 5/3, 15/8
LOW_VOICE = (16, 18, 20, 24, 27, 30, 32, 36, 40, 45)  # 100 to 281 Hz
HIGH_VOICE = (32, 36, 40, 45, 48, 54, 60, 64, 72, 80)  # 200 to 500 Hz
VOICES = LOW_VOICE + HIGH_VOICE

# Of each chord of codes.CHORDS: bass note, triad, and the seventh that jazz adds.
CHORD_NOTES = {
    "I": (12, (24, 30, 36), 45),
    "iii": (15, (30, 36, 45), 54),
    "IV": (16, (32, 40, 48), 60),
    "V": (18, (36, 45, 54), 64),
    "vi": (20, (40, 48, 60), 72),
}

# Progressions in major and in minor by band, a chord a bar.
PROGRESSIONS = {
    "pop": (("I V vi IV", "I vi IV V", "IV V iii vi"), ("vi IV I V", "vi V IV V")),
    "ballad": (("I iii IV V", "I V vi iii IV I IV V", "I vi iii V"), ("vi iii IV I", "vi IV V iii")),
    "rock": (("I IV V IV", "I V IV I", "I I IV V"), ("vi V IV vi", "vi I V IV")),
    "electronic": (("IV I V vi", "IV V vi I"), ("vi IV I V", "vi vi IV V")),
    "jazz": (("I vi IV V", "iii vi IV V", "I IV iii vi"), ("vi IV iii vi", "vi IV V I")),
}


def pitch_class(units: int) -> int:
    """Degree 0 to 6 in the scale of a pitch in units; raises ValueError for one outside it."""
    while units >= 2 * SCALE[0]:
        if units % 2:
            raise ValueError(f"{units} units are not in the scale")
        units //= 2
    while units < SCALE[0]:
        units *= 2
    return SCALE.index(units)


def chord_classes(chord: str) -> set[int]:
    """Degrees of a chord's triad."""
    return {pitch_class(units) for units in CHORD_NOTES[chord][1]}
