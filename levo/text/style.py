"""Style: short tags become one description, and that becomes the text the style tokenizer reads."""

from __future__ import annotations

import math
import re

from .lyrics import half_width

# The model was trained on short tags; longer ones are sentences, which it reads as noise.
MAX_WORDS = 5
CJK_CHARACTERS_PER_WORD = 2

VERY_MUSICAL = "[Musicality-very-high]"
NOT_MUSICAL = "[Musicality-very-low]"
PURE_MUSIC = "[Pure-Music]"

_SPACED_STOPS = str.maketrans({"。": ". ", "！": "! ", "？": "? "})
_CJK = re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_SENTENCE_END = re.compile(r"\w{2}[.!?]+\s+\w")
_LEADING = re.compile(r"^(?:[\s.!?]|[-*•]\s)+")
_IN_ROUND = re.compile(r"\(([^()]*)\)")
_SEPARATORS = ",、;\n"


class StyleError(ValueError):
    """A description field the model cannot take; the text is one sentence for the user."""


def describe(**fields: str) -> str:
    """Join fields of short tags into one list such as "female, pop rock, wistful, piano, drums".

    Tags are parted by commas, semicolons or new lines outside round brackets; the result is half-width,
    lower case and without repeats, "" if there are no tags.

    Args:
        fields: a field's name, for errors, and its text; in the order of the result.

    Raises:
        StyleError: a sentence, a square bracket, or a round bracket without its partner.
    """
    tags = (tag for name, text in fields.items() for tag in _tags(name, text))
    return ", ".join(dict.fromkeys(tags))


def conditioned(tags: str, version: str, instrumental: bool) -> str:
    """The text given to the style tokenizer; only version "v2" knows the quality and instrumental markers.

    Raises ValueError for a version other than "v1" and "v2".
    """
    tags = tags.strip().lower()
    if version == "v1":
        return tags
    if version == "v2":
        markers = [VERY_MUSICAL, PURE_MUSIC] if instrumental else [VERY_MUSICAL]
        return ", ".join([*markers, tags or "."])
    raise ValueError(f"Unknown model version {version!r}; use 'v1' or 'v2'.")


def null_text(conditioned_text: str) -> str:
    """The style text of the row that guidance steers away from, given the text of the row it steers to."""
    return f"{NOT_MUSICAL}, ." if VERY_MUSICAL in conditioned_text else ""


def _tags(field: str, text: str) -> list[str]:
    found = []
    for piece in _pieces(field, half_width(text.translate(_SPACED_STOPS))):
        _refuse_sentence(field, piece)
        tag = piece.rstrip(" .!?").lower()
        if any(map(str.isalnum, tag)):
            found.append(tag)
    return found


def _pieces(field: str, text: str) -> list[str]:
    """Split at separators outside round brackets."""
    if "[" in text or "]" in text:
        raise _error(field, "has square brackets, which the model keeps for its own marks; leave them out")
    pieces, start, depth = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if depth == 0 and character in _SEPARATORS:
            pieces.append(text[start:at])
            start = at + 1
    if depth:
        raise _error(field, "has a round bracket without its partner; add the other one or leave both out")
    return [_LEADING.sub("", " ".join(piece.split())) for piece in [*pieces, text[start:]]]


def _refuse_sentence(field: str, piece: str) -> None:
    # A list in brackets, such as "strings (violin, viola, cello, double bass)", counts item by item.
    listed = [item for inner in _IN_ROUND.findall(piece) for item in re.split("[,、;]", inner)]
    words = max(map(_word_count, [_IN_ROUND.sub(" ", piece), *listed]))
    if words > MAX_WORDS or _SENTENCE_END.search(piece):
        shown = piece if len(piece) <= 60 else f"{piece[:57]}..."
        advice = 'write short tags separated by commas, such as "sad, folk, piano"'
        raise StyleError(f"Description field '{field}': \"{shown}\" reads like a sentence; {advice}.")


def _word_count(text: str) -> int:
    characters = len(_CJK.findall(text))
    return len(_CJK.sub(" ", text).split()) + math.ceil(characters / CJK_CHARACTERS_PER_WORD)


def _error(field: str, reason: str) -> StyleError:
    return StyleError(f"Description field '{field}' {reason}.")
