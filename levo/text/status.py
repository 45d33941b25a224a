"""What there is to say while a song is composed, and when it is done. Knows text and numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ..config import FRAME_RATE
from .lyrics import LyricsError, Section, parse


def sections_of(lyrics: str) -> tuple[Section, ...]:
    """The sections of lyrics; none of an instrumental."""
    try:
        return parse(lyrics).sections
    except LyricsError:
        return ()


def under_way(done: int, total: int, frames: int, pace: float, sections: Sequence[Section] = ()) -> str:
    """A line such as "[chorus], section 3 of 7 - 0:42 of at most 2:30 - 0.8x real time - about 1:50 left".

    Which section is sung is an estimate, and so is the rest of the time: by the lyrics as long as they
    last, then by the limit.

    Args:
        done: steps so far.
        total: steps at most; more than frames, because two of the tracks come later than the first.
        frames: of the song at most.
        pace: steps a second.
        sections: of the lyrics.
    """
    composed, most = min(done, frames) / FRAME_RATE, frames / FRAME_RATE
    if done > frames:  # vocals and accompaniment come later than the mix
        at_most = clock((total - done) / max(pace, 1e-9))
        return f"{clock(most)} - now the end of vocals and accompaniment - at most {at_most} left"
    ends = list(accumulate(section.seconds for section in sections))
    parts = []
    if ends:
        at = sum(end <= composed for end in ends[:-1])
        parts.append(f"about [{sections[at].tag}], section {at + 1} of {len(sections)}")
    parts += [f"{clock(composed)} of at most {clock(most)}", _real_time(pace)]
    by_lyrics = bool(ends) and composed < ends[-1] < most
    last = ends[-1] * FRAME_RATE if by_lyrics else frames
    remaining = (last + total - frames - done) / max(pace, 1e-9)
    return " - ".join([*parts, f"{'about' if by_lyrics else 'at most'} {clock(max(remaining, 0))} left"])


def finished(
    lengths: Sequence[int], ended: Sequence[bool], pace: float, spent: float, tiny: bool = False
) -> str:
    """How the takes ended, such as "ended by itself at 1:52 - composed in 2:20, 0.8x real time".

    Args:
        lengths: frames of each take.
        ended: whether each ended by itself.
        pace: steps a second.
        spent: seconds of work.
        tiny: whether the built-in model with random weights did it, whose pace tells nothing.
    """
    takes = [
        f"{'ended by itself' if itself else 'cut at the limit, not ended,'} at {clock(length / FRAME_RATE)}"
        for length, itself in zip(lengths, ended, strict=True)
    ]
    if len(takes) > 1:
        takes = [f"take {number} {take}" for number, take in enumerate(takes, start=1)]
    speed = "tiny model: noise" if tiny else _real_time(pace)
    return f"{', '.join(takes)} - composed in {clock(spent)}, {speed}"


def clock(seconds: float) -> str:
    """Seconds as people read them, and as players show them: 135.9 is "2:15"."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _real_time(pace: float) -> str:
    return f"{pace / FRAME_RATE:.2g}x real time"
