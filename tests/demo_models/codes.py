"""Which code stands for what the composer knows of a frame: codes are assigned, not learned.

Three streams as LeLM writes them. A vocal code is a pitch, a vowel and where in its note the frame is; an
accompaniment code is a chord, how long ago it was struck, a drum, a band and a density. The mixed stream is
the score that both follow (LeLM draws it alone; of the others it takes the likeliest code), told over the
frames of each eighth note: where in the song and in the bar it is; what section and how many bars of it are
left; chord and tempo; what is sung; then how many frames are left of the eighth. Numbers only; numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levo.config import SILENT_ACCOMPANIMENT, SILENT_VOCAL

VOCAL, ACCOMPANIMENT = 4_000, 10_000  # the first codes of notes and of chords

PITCHES = 20  # ten of a low voice, then ten of a high one
VOWELS = ("a", "e", "i", "o", "u")
STEADY, HARD, SOFT, RELEASE = range(4)  # a frame of a note; HARD and SOFT begin it, RELEASE ends it
NOTE_SHAPE = (4, PITCHES, len(VOWELS))
NOTES = int(np.prod(NOTE_SHAPE))

CHORDS = ("I", "iii", "IV", "V", "vi")
STRUCK, RINGING, FADED = range(3)  # frames since a chord was struck: none, one or two, more
DRUMS = ("none", "kick", "kick after", "snare", "snare after", "hat")
NONE, KICK, KICK_AFTER, SNARE, SNARE_AFTER, HAT = range(6)
BANDS = ("pop", "ballad", "rock", "electronic", "jazz")
DENSITIES = 2
CHORD_SHAPE = (len(CHORDS), 3, len(DRUMS), len(BANDS), DENSITIES)
CHORD_FRAMES = int(np.prod(CHORD_SHAPE))

KINDS = ("intro", "verse", "chorus", "bridge", "inst", "outro", "end")
MOST_SECTIONS, MOST_BARS, SLOTS = 12, 8, 8  # of a song, of a section; eighths of a bar
TEMPOS = (5, 6, 7, 8, 9, 10)  # frames an eighth lasts: 150, 125, 107, 94, 83, 75 beats a minute
WHERE = 0  # section number and eighth
WHAT = WHERE + MOST_SECTIONS * SLOTS  # section kind and bars left after this one
CHORD = WHAT + len(KINDS) * MOST_BARS  # chord and tempo
SUNG = CHORD + len(CHORDS) * len(TEMPOS)  # what the eighth sings: a rest, a note that goes on, a new one
REST, HELD, NEW = range(3)
REGISTER = PITCHES // 2  # pitches of a voice; which voice sings is told by the vocal code alone
LEFT = SUNG + NEW + 2 * REGISTER * len(VOWELS)  # frames left of the eighth after this one, and the chord
LONGEST = 12  # frames of an eighth, where the first of a pair swings
SCORES = LEFT + LONGEST * len(CHORDS)


@dataclass
class Frames:
    """What the composer knows of each of T frames; whole numbers, -1 in `pitch` or `chord` for silence."""

    pitch: np.ndarray  # 0 .. PITCHES - 1
    vowel: np.ndarray
    stage: np.ndarray  # STEADY, HARD, SOFT, RELEASE
    chord: np.ndarray
    struck: np.ndarray  # STRUCK, RINGING, FADED
    drum: np.ndarray
    band: np.ndarray
    density: np.ndarray
    section: np.ndarray  # number
    kind: np.ndarray
    bars_left: np.ndarray
    slot: np.ndarray  # eighth of the bar
    sung: np.ndarray  # REST, HELD, or NEW + (hard * REGISTER + pitch of the voice) * vowels + vowel
    frame: np.ndarray  # of the eighth
    length: np.ndarray  # of the eighth, in frames
    tempo: np.ndarray  # index into TEMPOS

    def __len__(self) -> int:
        return len(self.pitch)

    def codes(self) -> np.ndarray:
        """Mixed, vocal and accompaniment codes [3, T] int64."""
        return np.stack((self._score(), self._vocal(), self._accompaniment()))

    def _vocal(self) -> np.ndarray:
        note = (self.stage * PITCHES + self.pitch) * len(VOWELS) + self.vowel
        return np.where(self.pitch < 0, SILENT_VOCAL, VOCAL + note)

    def _accompaniment(self) -> np.ndarray:
        parts = (np.maximum(self.chord, 0), self.struck, self.drum, self.band, self.density)
        code = ACCOMPANIMENT + np.ravel_multi_index(parts, CHORD_SHAPE)
        return np.where(self.chord < 0, SILENT_ACCOMPANIMENT, code)

    def _score(self) -> np.ndarray:
        chord = np.maximum(self.chord, 0)
        told = (
            WHERE + np.minimum(self.section, MOST_SECTIONS - 1) * SLOTS + self.slot,
            WHAT + self.kind * MOST_BARS + np.minimum(self.bars_left, MOST_BARS - 1),
            CHORD + chord * len(TEMPOS) + self.tempo,
            SUNG + self.sung,
            LEFT + (self.length - self.frame - 1) * len(CHORDS) + chord,
        )
        return np.choose(np.minimum(self.frame, 4), told)


def note_of(code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stage, pitch (-1 where nothing is sung) and vowel of vocal codes."""
    note = code - VOCAL
    is_note = (note >= 0) & (note < NOTES)
    stage, pitch, vowel = np.unravel_index(np.where(is_note, note, 0), NOTE_SHAPE)
    return stage, np.where(is_note, pitch, -1), vowel


def new_note_of(score: np.ndarray) -> np.ndarray:
    """Pitch in its voice of the notes that mixed codes begin, -1 for all other codes."""
    new = score - SUNG - NEW
    return np.where((new >= 0) & (score < LEFT), new // len(VOWELS) % REGISTER, -1)


def chord_of(code: np.ndarray) -> tuple[np.ndarray, ...]:
    """Chord (-1 for silence), stage, drum, band and density of accompaniment codes."""
    number = code - ACCOMPANIMENT
    is_chord = (number >= 0) & (number < CHORD_FRAMES)
    chord, *others = np.unravel_index(np.where(is_chord, number, 0), CHORD_SHAPE)
    return np.where(is_chord, chord, -1), *others
