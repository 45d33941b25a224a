"""Random lyrics and style tags of training songs, and how many syllables words have."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

CONSONANTS = ("b", "bl", "br", "d", "dr", "f", "fl", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t")
NUCLEI = ("a", "e", "i", "o", "u", "ee", "oo", "ea", "ai", "ou")
CODAS = ["", "", "", "n", "r", "s", "t", "l", "nd", "ght", "ck", "m"]
COMMON = (
    *("the", "a", "and", "in", "of", "to", "my", "your", "we", "I", "you", "me", "on", "light", "night"),
    *("love", "home", "road", "river", "dream", "fire", "rain", "heart", "hold", "back", "down", "never"),
    *("always", "again", "every", "over", "under", "morning", "summer", "shadow", "window", "silver"),
    *("golden", "paper", "lantern", "water", "little", "only", "open", "silent", "falling", "running"),
    *("dancing", "singing", "tomorrow", "remember", "forever"),
)

GENRES = {
    "pop": ("pop", "dance-pop", "indie pop", "pop rock", "c-pop", "folk", "country", "r&b", "soul"),
    "ballad": ("ballad", "pop ballad", "piano ballad", "singer-songwriter", "lullaby", "folk pop"),
    "rock": ("rock", "hard rock", "punk rock", "alternative rock", "metal", "blues rock"),
    "electronic": ("electronic", "edm", "house", "techno", "synth-pop", "trance", "hip-hop"),
    "jazz": ("jazz", "swing", "vocal jazz", "smooth jazz", "bossa nova", "blues"),
}
HAPPY = ("happy", "upbeat", "energetic", "joyful", "uplifting", "romantic", "hopeful", "playful")
SAD = ("sad", "melancholic", "wistful", "dark", "somber", "lonely", "nostalgic", "heartbreak")
FAST = frozenset({"upbeat", "energetic", "joyful", "playful"})
SLOW = frozenset({"sad", "somber", "lonely", "heartbreak"})
# Whose instrument plays the chords, whatever the genre: the band by tag.
INSTRUMENTS = {
    "piano": "pop",
    "acoustic guitar": "pop",
    "strings": "ballad",
    "violin": "ballad",
    "electric guitar": "rock",
    "synthesizer": "electronic",
    "saxophone": "jazz",
    "organ": "jazz",
}
RHYTHM = ("drums", "bass guitar")  # tags that change nothing
GENDERS = ("female", "male", "mixed")

_VOWELS = re.compile("[aeiouy]+")
_HAN = re.compile("[\u3400-\u9fff]")
_SOUNDS = {"a": 0, "e": 1, "i": 2, "y": 2, "o": 3, "u": 4}


@dataclass(frozen=True)
class Style:
    """Tags of a song and what they decide."""

    gender: str
    band: str  # whose progressions, rhythm and tempo
    instrument: str  # the band whose instrument plays the chords
    minor: bool
    haste: int  # -1 slow, 0, 1 fast
    text: str  # the tags as LeVo Describe joins them


def syllables(phrase: str) -> list[int]:
    """Vowels, as indices into codes.VOWELS, of the syllables of a phrase; a Han character is one."""
    sung = []
    for word in re.findall(r"[a-z']+|[\u3400-\u9fff]", phrase.lower()):
        if _HAN.match(word):
            sung.append(ord(word) % 5)
            continue
        groups = _VOWELS.findall(word)
        if len(groups) > 1 and word.endswith("e") and groups[-1] == "e":
            groups.pop()
        sung += [_SOUNDS[group[0]] for group in groups] or [1]
    return sung


def begins_hard(phrase: str) -> list[bool]:
    """For each syllable of a phrase whether it begins with a hiss or a stop."""
    heads = re.findall(r"([a-z]?)[aeiouy]+", phrase.lower())
    count = len(syllables(phrase))
    hard = [head in set("ptkscfhjx") and head != "" for head in heads]
    return (hard + [False] * count)[:count]


def style(rng: np.random.Generator) -> Style:
    """Random tags: any of gender, genre, emotion and instruments may be missing."""
    band = str(rng.choice(list(GENRES)))
    gender = str(rng.choice(GENDERS, p=(0.45, 0.45, 0.1)))
    minor = bool(rng.random() < 0.4)
    emotion = str(rng.choice(SAD if minor else HAPPY))
    tags = [gender, str(GENRES[band][0] if rng.random() < 0.5 else rng.choice(GENRES[band])), emotion]
    if not minor and rng.random() < 0.2:
        tags.pop()
        emotion = ""
    instrument = band
    if rng.random() < 0.6:
        tags.append(str(rng.choice(list(INSTRUMENTS))))
        instrument = INSTRUMENTS[tags[-1]]
    for tag in RHYTHM:
        if rng.random() < 0.3:
            tags.insert(int(rng.integers(2, len(tags) + 1)), tag)
    haste = 1 if emotion in FAST else -1 if emotion in SLOW else 0
    return Style(gender, band, instrument, minor, haste, f"{', '.join(tags)}.")


def phrase(rng: np.random.Generator) -> str:
    """A line of nonsense that looks like words."""
    words: list[str] = []
    most = int(rng.integers(4, 11))  # syllables
    while len(syllables(" ".join(words))) < most:
        words.append(str(rng.choice(COMMON)) if rng.random() < 0.5 else _word(rng))
    return " ".join(words).capitalize()


def _word(rng: np.random.Generator) -> str:
    parts = int(rng.choice((1, 1, 2, 3)))
    return "".join(
        f"{rng.choice(CONSONANTS)}{rng.choice(NUCLEI)}{rng.choice(CODAS) if part == parts - 1 else ''}"
        for part in range(parts)
    )


def sections(rng: np.random.Generator) -> list[tuple[str, list[str]]]:
    """A random form: tags and their lines; up to about 500 bytes of lyrics."""
    song: list[tuple[str, list[str]]] = []
    if rng.random() < 0.6:
        song.append((f"intro-{rng.choice(('short', 'short', 'medium'))}", []))
    for part in _form(rng):
        lines = int(rng.choice((1, 2, 3, 4, 4))) if part in ("verse", "chorus", "bridge") else 0
        song.append((part, [phrase(rng) for _ in range(lines)]))
    if rng.random() < 0.6:
        song.append((f"outro-{rng.choice(('short', 'short', 'medium'))}", []))
    return song


def _form(rng: np.random.Generator) -> list[str]:
    forms = (
        "verse",
        "chorus",
        "verse chorus",
        "verse chorus",
        "verse verse chorus",
        "verse chorus verse chorus",
        "verse inst-short chorus",
        "verse chorus bridge chorus",
        "chorus verse chorus",
        "inst-short",
    )
    return str(rng.choice(forms)).split()
