"""Style: short tags become one description, and that becomes the text the style tokenizer reads."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from .lyrics import half_width
from .tags import shortened
from .unicode import composed, half_character, half_named

# The model was trained on short tags; longer ones are sentences, which it reads as noise.
MAX_WORDS = 5
CJK_CHARACTERS_PER_WORD = 2

VERY_MUSICAL = "[Musicality-very-high]"
NOT_MUSICAL = "[Musicality-very-low]"
PURE_MUSIC = "[Pure-Music]"

# Stops of other scripts, which part sentences and end a list as a full stop does.
_STOPS = str.maketrans(dict.fromkeys("。｡।॥۔։።။︒", ". ") | dict.fromkeys("！︕‼", "! "))
_STOPS |= str.maketrans(dict.fromkeys("？؟⁇⁈⁉‽፧︖", "? "))
_CJK = re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_SENTENCE_END = re.compile(r"\w{2}[.!?]+\s+\w")
_LEADING = re.compile(r"^(?:[\s.!?]|[-*•]\s)+")
_TRAILING = " .!?"
_QUOTES = "\"'"
_IN_ROUND = re.compile(r"\(([^()]*)\)")
_SEPARATORS = ",、;\n"
_MARKS = re.compile(f"[(){_SEPARATORS}]")
_NOT_PLAIN = re.compile("[^ -~]")
# A small 2 above the line, or the halves of a Korean syllable, say less where they are folded.
_KEPT_FORMS = ("<super>", "<sub>")
_KOREAN_LETTERS = re.compile("[\u1100-\u11ff]")


class StyleError(ValueError):
    """A description field the model cannot take; the text is one sentence for the user."""


def describe(**fields: str) -> str:
    """Join fields of short tags into one list such as "female, pop rock, wistful, piano, drums.".

    Tags are parted by commas, semicolons or new lines outside round brackets; the result is half-width,
    lower case, without repeats and ends with one full stop, as the published lists do; "" if there are no
    tags. A text that is such a list comes back as it is, its repeats too.

    Args:
        fields: a field's name, for errors, and its text; in the order of the result.

    Raises:
        StyleError: a sentence, a square bracket, a round bracket without its partner, half a character.
    """
    tags = [tag for name, text in fields.items() for tag in _tags(name, text)]
    listed = _listed(tags)
    return listed if listed in fields.values() else _listed(dict.fromkeys(tags))


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


def _listed(tags: Iterable[str]) -> str:
    joined = ", ".join(tags)
    return f"{joined}." if joined else ""


def _tags(field: str, text: str) -> list[str]:
    if half := half_character(text):
        raise _error(field, f"has {half_named(half[0])}; delete it or type it anew")
    readable = _NOT_PLAIN.sub(lambda character: _readable(character[0]), text.translate(_STOPS))
    pieces = _pieces(field, half_width(composed(readable)))
    tags = {piece: _tag(field, piece) for piece in dict.fromkeys(pieces)}
    return [tags[piece] for piece in pieces if tags[piece]]


def _tag(field: str, piece: str) -> str:
    """The tag of what stands between separators; "" without a letter or digit."""
    piece = _LEADING.sub("", " ".join(piece.split()))
    if not piece:
        return ""
    _refuse_sentence(field, piece)
    tag = piece.rstrip(_TRAILING)
    inside = tag.rstrip(_QUOTES)
    if inside != tag:  # one stop ends the list, not another before a closing quote
        tag = inside.rstrip(_TRAILING) + tag[len(inside) :]
    tag = unicodedata.normalize("NFC", tag.lower())
    return tag if any(map(_is_letter, tag)) else ""


@lru_cache(maxsize=4096)
def _readable(character: str) -> str:
    """A ligature, a letter in a circle or of another width as the letters or digits it stands for.

    "" for what is invisible, which could stand between accents (see `composed`).
    """
    if not half_width(character):
        return ""
    form = unicodedata.decomposition(character).partition(" ")[0]
    plain = unicodedata.normalize("NFKC", character)
    if not form.startswith("<") or form in _KEPT_FORMS or _KOREAN_LETTERS.match(plain):
        return character
    is_plain = all(letter.isalnum() or unicodedata.combining(letter) for letter in plain)
    return plain if is_plain else character


def _is_letter(character: str) -> bool:
    """Whether it is a letter or digit, or one in a bracket or other dress, such as ⒜ or 🅱."""
    return (
        character.isalnum()
        or any(map(str.isalnum, unicodedata.normalize("NFKC", character)))
        or "LETTER" in unicodedata.name(character, "")
    )


def _pieces(field: str, text: str) -> list[str]:
    """Split at separators outside round brackets."""
    if "[" in text or "]" in text:
        raise _error(field, "has square brackets, which the model keeps for its own marks; leave them out")
    pieces, start, depth = [], 0, 0
    for mark in _MARKS.finditer(text):
        depth += (mark[0] == "(") - (mark[0] == ")")
        if depth < 0:
            break
        if depth == 0 and mark[0] in _SEPARATORS:
            pieces.append(text[start : mark.start()])
            start = mark.end()
    if depth:
        raise _error(field, "has a round bracket without its partner; add the other one or leave both out")
    return [*pieces, text[start:]]


def _refuse_sentence(field: str, piece: str) -> None:
    # A list in brackets, such as "strings (violin, viola, cello, double bass)", counts item by item.
    inside = dict.fromkeys(_IN_ROUND.findall(piece))
    listed = [item for inner in inside for item in re.split("[,、;]", inner)]
    words = max(map(_word_count, [_IN_ROUND.sub(" ", piece), *listed]))
    if words > MAX_WORDS or _SENTENCE_END.search(piece):
        advice = 'write short tags separated by commas, such as "sad, folk, piano"'
        raise StyleError(
            f"Description field '{field}': \"{shortened(piece, 60)}\" reads like a sentence; {advice}."
        )


def _word_count(text: str) -> int:
    characters = len(_CJK.findall(text))
    return len(_CJK.sub(" ", text).split()) + math.ceil(characters / CJK_CHARACTERS_PER_WORD)


def _error(field: str, reason: str) -> StyleError:
    return StyleError(f"Description field '{field}' {reason}.")
