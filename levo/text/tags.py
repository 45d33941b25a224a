"""The model's section tags, and the one error that says what is wrong with lyrics. Knows no other file."""

from __future__ import annotations

LENGTHS = ("short", "medium", "long")
WORDLESS = ("intro", "outro", "inst")

TAGS: tuple[str, ...] = (
    "verse",
    "chorus",
    "bridge",
    *(f"{part}-{length}" for part in WORDLESS for length in LENGTHS),
    "silence",
)
SUNG = frozenset({"verse", "chorus", "bridge"})

# A rule of thumb, not a promise: the model chooses its own tempo.
SECONDS_WORDLESS = {"short": 5.0, "medium": 15.0, "long": 25.0, "silence": 3.0}


class LyricsError(ValueError):
    """Lyrics the model cannot take: `line` is 1-based, 0 for the whole text; `reason` is what is wrong.

    `cure` is a part of that line and what is likely meant by it, where there is something.
    """

    def __init__(self, line: int, reason: str, cure: tuple[str, str] | None = None) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason
        self.cure = cure

    def __str__(self) -> str:
        return f"Lyrics line {self.line}: {self.reason}" if self.line else self.reason


def wordless_seconds(tag: str) -> float:
    """Seconds that a section without words is thought to last."""
    return SECONDS_WORDLESS[tag.rpartition("-")[2]]


def nearest_length(part: str, seconds: float) -> str:
    """The tag of "intro", "outro" or "inst" whose length is nearest to some seconds, or the longer."""
    tags = [f"{part}-{length}" for length in reversed(LENGTHS)]
    return min(tags, key=lambda tag: abs(wordless_seconds(tag) - seconds))


def shortened(text: str, most: int = 40) -> str:
    """A text as a sentence quotes it."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def repeat_error(shown: str, line: int) -> LyricsError:
    """What is said of marks such as "x2", wherever they stand."""
    remedy = "write the words out as often as they are sung"
    return LyricsError(line, f"{shown} asks for a repeat, which the model cannot read; {remedy}.")
