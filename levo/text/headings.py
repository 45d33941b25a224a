"""Headings: which lines and brackets name a section, and what is said of those that name none.

Knows the names in section_names.py and how people dress them; knows nothing of phrases.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import section_names
from .lines import UNSPACED
from .marks import is_stamp, stamp_error
from .tags import LENGTHS, SUNG, TAGS, LyricsError, repeat_error, shortened
from .voices import is_label, is_voice, voice_error

MOST_CURES = 4  # of the beginning of one line
MOST_OF_A_HEADING = 80  # characters


@dataclass(frozen=True)
class Piece:
    """A stretch of a line: `tag` begins a section, unless it is "", and `words` follow.

    `bare` says that a section of music was named without its length.
    """

    tag: str
    words: str
    bare: bool = False


# ------------------------------------------------------------------ names

_WORD = re.compile(r"[^\W_]+")
_ACCENT = re.compile("[\u0300-\u036f]")
_TIMES_SIGN = re.compile(r"[×✕✖]|[*х](?=\s?\d)")


def _folded(name: str) -> str:
    """The words of a name between hyphens, in lower case, without accents."""
    name = _TIMES_SIGN.sub("x", name.lower())
    if not name.isascii():
        name = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFD", name)))
    return "-".join(_WORD.findall(name))


def _names(listed: str) -> list[str]:
    return [_folded(name) for name in listed.split(", ")]


def _any_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))


_NAMES = {tag: tag for tag in TAGS}
_NAMES |= {
    name: tag
    for tag, languages in section_names.NAMES.items()
    for listed in languages.values()
    for name in _names(listed)
}
_NAMES |= {f"instrumental-{length}": f"inst-{length}" for length in LENGTHS}
_FOREIGN = {name: part for part, listed in section_names.FOREIGN.items() for name in _names(listed)}
_WORDS_TOO = {name: part for part, listed in section_names.FOREIGN_WORDS.items() for name in _names(listed)}
_OTHER_FORMS = {name: part for part, listed in section_names.OTHER_FORMS.items() for name in _names(listed)}
_PARTS = {name: tag.partition("-")[0] for name, tag in _NAMES.items()} | _FOREIGN | _OTHER_FORMS

_AND = frozenset(_names(section_names.AND))
_MOST_WORDS = max(name.count("-") for name in _PARTS) + 1
# Names of scripts without spaces, which stand anywhere.
_UNSPACED_NAME = re.compile(_any_of(n for n in _PARTS if len(n) > 1 and "\u3041" <= n[0] <= "\ud7a3"))

_COUNT = (
    r"(?:-?(?:\d{1,3}|[一二三四五六七八九十]{1,3})|(?<=[\u3041-\u9fff])-?[a-d]"
    rf"|-(?:[a-d]|i{{1,3}}|iv|vi{{0,3}}|ix|x|{_any_of(_names(section_names.NUMBERS))}))"
)
_ORDER = rf"(?:{_any_of(_names(section_names.ORDERS))})"
_NUMBER = r"\d{1,2}(?:st|nd|rd|th|番)?"
_KNOWN = re.compile(f"(?:{_NUMBER}-?)?({_any_of(_NAMES)}){_COUNT}?")
_ORDERED = re.compile(
    rf"(?:(?:{_ORDER}|{_NUMBER})-?){{0,3}}({_any_of(_NAMES)}){_COUNT}?(?:-?{_ORDER}){{0,2}}"
)
# Names the model does not have. The second lot are also words to sing, so alone on a line they are words.
_UNKNOWN = re.compile(f"(?:{_any_of(_FOREIGN)}){_COUNT}?|(?P<word>{_any_of(_WORDS_TOO)}){_COUNT}?")
_REPEAT = re.compile(r"(?<![a-z\d])(?:x-?\d{1,3}|\d{1,3}-?x)(?![a-z\d])|(?<![a-z])(?:repeat|twice|thrice)")
_AGAIN = re.compile(
    rf"(?:^|-|(?<=[\u3041-\ud7a3]))(?:{_any_of(_names(section_names.AGAIN))}|again|bis)(?:-|$)"
)
_HINTS = (
    ("verse", "pre-chorus prechorus pre-hook build buildup 导歌 预副歌"),
    ("chorus", "post-chorus postchorus hook refrain chorus 副歌"),
    ("bridge", "bridge middle-eight middle-8 桥 橋"),
    ("verse", "verse rap 主歌"),
    ("outro", "outro end ending coda fade finale 尾奏 尾声 结尾"),
    ("intro", "intro start opening prelude 前奏"),
    ("inst", "inst instrumental solo interlude break breakdown drop riff 间奏 間奏 独奏"),
    ("silence", "silence silent pause 静音"),
)


def _held(folded: str) -> str:
    """The part of a song that is named somewhere in a line; "" if none is."""
    words = folded.split("-")
    for count in range(_MOST_WORDS, 0, -1):
        for at in range(len(words) - count + 1):
            part = _PARTS.get("-".join(words[at : at + count]))
            if part:
                return part
    within = _UNSPACED_NAME.search(folded)
    return _PARTS[within[0]] if within else ""


def _meant(folded: str) -> list[str]:
    """The tags that a name may stand for, the likeliest first; [] if nobody can tell."""
    for part, keys in _HINTS:
        if any(f"-{key}-" in f"-{folded}-" if key.isascii() else key in folded for key in keys.split()):
            return _tags_of(part)
    part = _held(folded) or _WORDS_TOO.get(folded, "")
    if part:
        return _tags_of(part)
    return [_NAMES[name] for name in difflib.get_close_matches(folded, _NAMES, n=1, cutoff=0.7)]


def _tags_of(part: str) -> list[str]:
    return [tag for tag in TAGS if tag.startswith(part)]


# ------------------------------------------------------------------ a line

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_QUOTED_LINE = re.compile(r"(?:>\s*)*(?:[-*•+]\s+)?")
_HASHES = re.compile(r"#{1,6}(\s*)")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3})(?=\S)(.+?)\1(.*)")
_ROUND = re.compile(r"\(([^()]{1,40})\)\s*(.*)")
_NOTE = re.compile(r"([^()]+?)\s*(\([^()]*\))\s*(.*)")
_DASH = re.compile(r"([^()]{1,40}?)\s+[-~]\s+(?=\S)")
_NUMBERED = re.compile(r"([^\W\d]+(?:[\s-][^\W\d]+)?[\s#]*\d{1,2})(?!\d)(?=\s*\S)")
_ORNAMENTS = "#*_~=+|/\\<>{}«»\"'`♪♫•·●■◆★☆✦✨🎵🎶- "


def pieces(line: str, number: int, fresh: bool = False, mend: bool = False) -> Iterator[Piece]:
    """The pieces of one line in order; the tag of the first is "" if the line begins with words.

    Args:
        line: in half-width characters.
        number: of the line, for errors.
        fresh: whether the line follows an empty one.
        mend: take what is likely meant by a section the model does not have, where something is.

    Raises LyricsError for sections the model does not have and for lone square brackets.
    """
    first, rest = _opening_or_mended(line, number, fresh) if mend else _opening(line, number, fresh)
    words, *brackets = _BRACKETS.split(rest)
    _refuse_lone_bracket(words, number)
    yield Piece(first.tag, words, first.bare)
    for content, words in zip(brackets[::2], brackets[1::2], strict=True):
        _refuse_lone_bracket(words, number)
        try:
            tag, bare = _tag_in_brackets(content, number)
        except LyricsError as error:
            if not mend or error.cure is None:
                raise
            tag, bare = error.cure[1].strip("[]"), False
        yield Piece(tag, words, bare)


def _opening_or_mended(line: str, number: int, fresh: bool) -> tuple[Piece, str]:
    for _ in range(MOST_CURES):
        try:
            return _opening(line, number, fresh)
        except LyricsError as error:
            if error.cure is None:
                raise
            line = line.replace(*error.cure, 1)
    return _opening(line, number, fresh)


def _opening(line: str, number: int, fresh: bool) -> tuple[Piece, str]:
    """Take a heading without square brackets and any Markdown dress off the start of a line."""
    quoted = _QUOTED_LINE.match(line)
    line = line[quoted.end() :] if quoted else line
    hashes = _HASHES.match(line)
    bare = line[hashes.end() :] if hashes else line
    emphasis = _EMPHASIS.fullmatch(bare)
    plain = emphasis[2] + emphasis[3] if emphasis else bare
    if not plain or plain.startswith("["):
        return Piece("", ""), plain
    before, bracket, after = plain.partition("[")
    if emphasis and emphasis[3].lstrip(" *_")[:1] not in ("", *":([") and emphasis[2][-1] != ":":
        _refuse_words_after(emphasis, number)
    elif len(before) <= 2 * MOST_OF_A_HEADING:
        line_of = _Line(before.strip(), number, fresh, bool(hashes), emphasis[1] if emphasis else "")
        heading = line_of.heading()
        if heading:
            return heading, heading.words + bracket + after
    if hashes and hashes[1] and bare:
        raise _unknown(f'"{shortened(line)}"', bare, number, bare)
    return Piece("", ""), line if hashes else plain


def _refuse_words_after(emphasis: re.Match[str], number: int) -> None:
    """A heading and words, as in "**Chorus** hold the line", are likely, but nobody can be sure."""
    known = _ORDERED.fullmatch(_folded(emphasis[2][:MOST_OF_A_HEADING]))
    if known:
        dressed = emphasis[1] + emphasis[2] + emphasis[1]
        raise _unknown(f'"{shortened(dressed)}"', known[1], number, dressed)


@dataclass(frozen=True)
class _Line:
    """The beginning of a line that may be a heading, without its dress, and what the dress was."""

    text: str
    number: int
    fresh: bool
    hashes: bool
    emphasis: str

    def heading(self) -> Piece | None:
        """The section of "Verse 1", "Final chorus: words", "(Verse 1) words"; None for words."""
        core = self.text.strip(_ORNAMENTS)
        in_round = _ROUND.fullmatch(core)
        name, colon, rest = (in_round[1], "", in_round[2]) if in_round else core.partition(":")
        name = name.replace("*", " ").strip() if self.emphasis else name
        name = name.removesuffix(":")
        note = _NOTE.fullmatch(name)
        name = note[1] if note else name
        if len(name) > MOST_OF_A_HEADING or not name or "]" in core:
            return None
        folded, loud = _folded(name), self._is_loud(core) or bool(colon)
        if note and not (note[3] or rest):
            self._refuse_repeat(f"{folded}-{_folded(note[2])}")
        known = _ORDERED.fullmatch(folded)
        if known and not (note and note[3]):
            tag, marked = _NAMES[known[1]], loud or bool(in_round)
            if tag == "silence" and (not marked or (in_round and rest)):
                return None
            if note and tag in SUNG and not (loud or re.search(r"\d", folded + note[2])):
                raise _unknown(f'"{shortened(self.text)}"', known[1], self.number, name)
            return Piece(tag, rest, _is_bare(known[1]))
        self._refuse_foreign(name, folded, loud, in_round)
        self._refuse_dressed(core, name, folded, colon, rest, in_round)
        return None

    def _is_loud(self, core: str) -> bool:
        """Whether the line has the dress of a heading; quotes are none."""
        left, right = (
            side.strip(" \"'") for side in (self.text.partition(core)[0], self.text.rpartition(core)[2])
        )
        return self.hashes or bool(self.emphasis) or bool(left and right)

    def _refuse_repeat(self, folded: str) -> None:
        if _held(folded) and (_REPEAT.search(folded) or _AGAIN.search(folded)):
            raise repeat_error(f'"{shortened(self.text)}"', self.number)

    def _refuse_foreign(self, name: str, folded: str, loud: bool, in_round: re.Match[str] | None) -> None:
        foreign = _UNKNOWN.fullmatch(folded)
        if foreign and not (in_round and in_round[2]) and (loud or in_round or foreign["word"] != folded):
            part = f"({in_round[1]})" if in_round else name
            raise _unknown(f'"{name}"', name, self.number, part)

    def _refuse_dressed(
        self, core: str, name: str, folded: str, colon: str, rest: str, in_round: re.Match[str] | None
    ) -> None:
        """What is dressed as a heading, or begins as one, and names no section of the model's."""
        held, words = _held(folded), _count(folded)
        ends = bool(colon) and not rest.strip()
        loud = self._is_loud(core) or ends
        shown = f'"{shortened(self.text)}"'
        if is_label(self.text) or (self.emphasis and is_voice(core)):
            raise voice_error(shown, self.number, self.text)
        if held and not rest and (loud or (folded.count("-") < 3 and len(folded) <= 20)):
            self._refuse_repeat(folded)
        if held and loud and not rest.strip():
            raise _unknown(shown, folded, self.number, self.text)
        if in_round and not rest and held not in ("", "bridge"):
            self._refuse_aside(in_round[0].strip(), held, words)
        several = _several_names(folded)
        if several:
            raise _unknown(shown, several[0], self.number, self.text)
        self._refuse_begun(core)
        bold = self.emphasis in ("**", "__", "***", "___") and not rest and words <= 3 and not in_round
        if bold or (
            ends and words <= 4 and ((self.fresh and words <= 2) or re.search(r"-\d{1,2}$", folded))
        ):
            marks = f"{self.emphasis}{self.text}{self.emphasis}" if bold else self.text
            raise _unknown(f'"{shortened(marks)}"', folded, self.number, marks, core.rstrip(": "))

    def _refuse_aside(self, aside: str, held: str, words: int) -> None:
        """Round brackets are sung, unless they speak of a section; those of a sung one may be words."""
        if held in SUNG and words <= 3:
            error = _unknown(f'"{aside}"', held, self.number, aside)
            raise LyricsError(error.line, error.reason)
        if held not in SUNG and words <= 6:
            raise _unknown(f'"{shortened(aside)}"', held, self.number, aside)

    def _refuse_begun(self, core: str) -> None:
        """A heading with something beside it, such as "Verse 2 by the sea" and "Chorus - softly"."""
        for pattern in (_NUMBERED, _DASH):
            begun = pattern.match(core)
            known = begun and _ORDERED.fullmatch(_folded(begun[1]))
            if begun and known and len(core.split()) <= 6:
                part = begun[0].lstrip() if _NAMES[known[1]] in SUNG else self.text
                raise _unknown(f'"{shortened(core)}"', known[1], self.number, part)


def _several_names(folded: str) -> list[str]:
    """The names in a line that is nothing but names of sections, such as "Verse / Chorus"."""
    words = folded.split("-")
    names = [word for word in words if word in _PARTS]
    rest = all(word in _PARTS or word in _AND or word.isdecimal() for word in words)
    return names if len(names) > 1 and rest else []


def _count(folded: str) -> int:
    """About how many words a line has; two characters of Chinese or Japanese are one."""
    return folded.count("-") + 1 + len(UNSPACED.findall(folded)) // 2


def _tag_in_brackets(content: str, number: int) -> tuple[str, bool]:
    folded = _folded(content[:MOST_OF_A_HEADING])
    known = _KNOWN.fullmatch(folded)
    if known and len(content) <= MOST_OF_A_HEADING:
        return _NAMES[known[1]], _is_bare(known[1])
    shown, part = f"[{shortened(content.strip())}]", f"[{content}]"
    if is_stamp(content):
        raise stamp_error(shown, number, part)
    if is_voice(content):
        raise voice_error(shown, number, part)
    if _REPEAT.search(folded) or _AGAIN.search(folded):
        raise repeat_error(shown, number)
    raise _unknown(shown, content, number, part)


def _is_bare(name: str) -> bool:
    return name not in TAGS and _NAMES[name].endswith("-short") and not name.endswith("-short")


def _unknown(shown: str, name: str, number: int, part: str, words: str = "") -> LyricsError:
    meant = _meant(_folded(name[:MOST_OF_A_HEADING]))
    hint = _listed(meant) if meant else f"{_listed(TAGS)}, or round brackets for words to sing"
    cure = (part, f"[{meant[0]}]") if meant else (part, words) if words else None
    return LyricsError(number, f"{shown} is not a section the model knows; use {hint}.", cure)


def _listed(tags: Iterable[str]) -> str:
    *most, last = (f"[{tag}]" for tag in tags)
    return f"{', '.join(most)} or {last}" if most else last


def _refuse_lone_bracket(words: str, number: int) -> None:
    if "[" in words:
        shown = f'"[{shortened(words.partition("[")[2].strip())}"'
        raise LyricsError(
            number, f"the square bracket in {shown} is never closed; write for example [verse]."
        )
    if "]" in words:
        raise LyricsError(number, "a ] has no [ before it; write for example [verse].")
