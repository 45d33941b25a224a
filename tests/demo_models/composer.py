"""Composes a training song: from sections of lyrics and a style to what is heard in every frame.

A line of lyrics is one bar of eight eighths, a syllable an eighth or longer; wordless sections are two or
four bars; at the end a last chord rings for a bar.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from . import codes, theory, words
from .codes import Frames
from .words import Style

BARS = {"short": 2, "medium": 4, "long": 6}
SPEED = {"pop": 2, "ballad": 4, "rock": 1, "electronic": 1, "jazz": 2}  # index into TEMPOS
LOUD = frozenset({"chorus", "inst"})
DRUMMED = frozenset({"verse", "chorus", "inst", "bridge"})
# Eighths at which a chord is struck, and drums by eighth in a quiet and in a loud bar: k, s, h or nothing.
STRUCK = {
    "pop": (0, 2, 4, 6),
    "ballad": (0, 4),
    "rock": (0, 1, 2, 3, 4, 5, 6, 7),
    "electronic": (1, 3, 5, 7),
    "jazz": (0, 3, 6),
}
PATTERNS = {
    "pop": ("k.h.s.h.", "khhhshkh"),
    "ballad": ("k...h...", "k.h.s.h."),
    "rock": ("k.s.k.s.", "khshkksh"),
    "electronic": ("k.k.k.k.", "khkhshkh"),
    "jazz": ("h..hh..h", "k.hhs.hh"),
}
DRUM_OF = {".": codes.NONE, "k": codes.KICK, "s": codes.SNARE, "h": codes.HAT}
AFTER = {codes.KICK: codes.KICK_AFTER, codes.SNARE: codes.SNARE_AFTER}


@dataclass(frozen=True)
class Bar:
    """A bar of a song: what stands in it."""

    section: int
    kind: str
    bars_left: int  # of the section, after this one
    chord: str
    line: str  # what is sung, "" for nothing
    voice: int  # 0 for low, 1 for high


@dataclass(frozen=True)
class Song:
    """A training song: texts that LeLM is given, and all that is known of its sound."""

    lyric: str  # strict text
    style: Style
    bars: tuple[Bar, ...]
    frames: Frames


def random_song(seed: int) -> Song:
    """The song of a seed."""
    rng = np.random.default_rng(seed)
    return compose(words.sections(rng), words.style(rng), rng)


def strict(sections: list[tuple[str, list[str]]]) -> str:
    """Lyrics as the model is given them."""
    return " ; ".join(f"[{tag}] {'. '.join(lines)}." if lines else f"[{tag}]" for tag, lines in sections)


def compose(sections: list[tuple[str, list[str]]], style: Style, rng: np.random.Generator) -> Song:
    """Write a song.

    Args:
        sections: tags of sections in order, such as "verse" or "intro-short", and their lines.
        style: what its tags decide.
        rng: decides everything else.
    """
    bars = _bars(sections, style, rng)
    speed = SPEED[style.band] - style.haste
    tempo = int(np.clip(speed + rng.integers(0, 2), 0, len(codes.TEMPOS) - 1))
    rows: list[dict[str, int]] = []
    pitch = 4
    for bar in bars:
        sung, pitch = _melody(bar, pitch, rng)
        for slot in range(codes.SLOTS):
            rows += _slot(bar, slot, sung, style, tempo)
    table = {f.name: np.array([row[f.name] for row in rows]) for f in fields(Frames)}
    return Song(strict(sections), style, tuple(bars), Frames(**table))


def _bars(sections: list, style: Style, rng: np.random.Generator) -> list[Bar]:
    offered = theory.PROGRESSIONS[style.band][style.minor]
    verse, chorus = (str(rng.choice(offered)).split() for _ in range(2))
    bars = []
    for number, (tag, lines) in enumerate(sections):
        kind, _, length = tag.partition("-")
        count = len(lines) or BARS.get(length, 2)
        chords = chorus if kind in LOUD else verse
        voice = {"female": 1, "male": 0}.get(style.gender, int(kind == "chorus"))
        for n in range(count):
            line = lines[n] if lines else ""
            bars.append(Bar(number, kind, count - n - 1, chords[n % len(chords)], line, voice))
    home = "vi" if style.minor else "I"
    return [*bars, Bar(len(sections), "end", 0, home, "", 0)]


def _melody(bar: Bar, last: int, rng: np.random.Generator) -> tuple[list[tuple], int]:
    """For each eighth of a bar (pitch, vowel, hard, begins, ends), pitch -1 for a rest; and the last pitch.

    A strong eighth takes the nearest note of the chord to where a step would lead, a weak one the step.
    """
    vowels = words.syllables(bar.line)[: codes.SLOTS]
    hard = words.begins_hard(bar.line)
    if not vowels:
        return [(-1, 0, False, False, False)] * codes.SLOTS, last
    starts = _starts(len(vowels), rng)
    ends = [*starts[1:], codes.SLOTS if len(vowels) > 6 else codes.SLOTS - 1]
    voice = theory.LOW_VOICE if bar.voice == 0 else theory.HIGH_VOICE
    tones = theory.chord_classes(bar.chord)
    in_chord = [n for n, units in enumerate(voice) if theory.pitch_class(units) in tones]
    sung = [(-1, 0, False, False, False)] * codes.SLOTS
    middle = 6 if bar.kind == "chorus" else 4
    for start, end, vowel, is_hard in zip(starts, ends, vowels, hard, strict=False):
        pull = int(np.sign(middle - last)) * int(rng.random() < 0.35)
        step = int(np.clip(last + rng.integers(-2, 3) + pull, 0, len(voice) - 1))
        last = min(in_chord, key=lambda n: abs(n - step)) if start % 2 == 0 else step
        pitch = bar.voice * len(theory.LOW_VOICE) + last
        for slot in range(start, end):
            sung[slot] = (pitch, vowel, is_hard, slot == start, slot == end - 1)
    return sung, last


def _starts(count: int, rng: np.random.Generator) -> list[int]:
    """Eighths at which so many syllables begin: even ones first, the last long where there is room."""
    order = [0, 4, 2, 6, 1, 5, 3, 7] if rng.random() < 0.6 else [0, 2, 4, 1, 3, 6, 5, 7]
    return sorted(order[:count])


def slot_length(band: str, tempo: int, slot: int) -> int:
    """Frames of an eighth; jazz swings."""
    swing = (1 if slot % 2 == 0 else -1) if band == "jazz" else 0
    return codes.TEMPOS[tempo] + swing


def _told(note: tuple) -> int:
    """What the score says of a sung eighth."""
    pitch, vowel, hard, begins, _ = note
    if pitch < 0 or not begins:
        return codes.REST if pitch < 0 else codes.HELD
    return codes.NEW + (int(hard) * codes.REGISTER + pitch % codes.REGISTER) * len(codes.VOWELS) + vowel


def _slot(bar: Bar, slot: int, sung: list[tuple], style: Style, tempo: int) -> list[dict[str, int]]:
    """All that is known of the frames of one eighth."""
    length = slot_length(style.band, tempo, slot)
    loud = int(bar.kind in LOUD)
    drum = DRUM_OF[PATTERNS[style.band][loud][slot]] if bar.kind in DRUMMED else codes.NONE
    strikes = (0,) if bar.kind == "end" else STRUCK[style.band]
    since = min(slot - start for start in (*strikes, -8) if start <= slot)
    pitch, vowel, hard, begins, ends = sung[slot]
    known = {
        "pitch": pitch,
        "vowel": vowel if pitch >= 0 else 0,
        "chord": codes.CHORDS.index(bar.chord),
        "band": codes.BANDS.index(style.instrument),
        "density": loud,
        "section": bar.section,
        "kind": codes.KINDS.index(bar.kind),
        "bars_left": bar.bars_left,
        "slot": slot,
        "sung": _told(sung[slot]),
        "length": length,
        "tempo": tempo,
    }
    rows = []
    for frame in range(length):
        stage = codes.STEADY
        if begins and frame == 0:
            stage = codes.HARD if hard else codes.SOFT
        elif ends and frame == length - 1:
            stage = codes.RELEASE
        struck = (codes.STRUCK, codes.RINGING, codes.RINGING)[frame] if frame < 3 else codes.FADED
        rows.append(
            known
            | {
                "frame": frame,
                "stage": stage if pitch >= 0 else 0,
                "struck": struck if since == 0 else codes.FADED,
                "drum": drum if frame == 0 else AFTER.get(drum, 0) if frame == 1 else codes.NONE,
            }
        )
    return rows
