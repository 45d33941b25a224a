"""Lyrics: what people type becomes the strict text the model reads, or one sentence that says why not.

Owns the section tags, the phrases and the estimate of their length; knows nothing of tokens.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .unicode import half_character, half_named

_LENGTHS = ("short", "medium", "long")
_WORDLESS = ("intro", "outro", "inst")

TAGS: tuple[str, ...] = (
    "verse",
    "chorus",
    "bridge",
    *(f"{part}-{length}" for part in _WORDLESS for length in _LENGTHS),
    "silence",
)
SUNG = frozenset({"verse", "chorus", "bridge"})

# A rule of thumb, not a promise: the model chooses its own tempo and may not sing to the end.
SECONDS_WORDLESS = {"short": 5.0, "medium": 15.0, "long": 25.0, "silence": 3.0}
SECONDS_PER_SYLLABLE = 0.33
SECONDS_PER_CJK_CHARACTER = 0.35
SECONDS_PAUSE = 0.6
MIN_PHRASE_SECONDS = 2.0

_HAN_RANGE = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA_RANGE = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_HANGUL_RANGE = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
_HAN = re.compile(f"[{_HAN_RANGE}]")
_KANA = re.compile(f"[{_KANA_RANGE}]")
_HANGUL = re.compile(f"[{_HANGUL_RANGE}]")
_UNSPACED = re.compile(f"[{_HAN_RANGE}{_KANA_RANGE}]")
_CJK = re.compile(f"[{_HAN_RANGE}{_KANA_RANGE}{_HANGUL_RANGE}]")
_SMALL_KANA = re.compile("[ぁぃぅぇぉゃゅょゎァィゥェォャュョヮ]")
_VOWELS = re.compile("[aeiouyæœøıаеиоуыэюяєіαεηιουω]+")


class LyricsError(ValueError):
    """Lyrics the model cannot take: `line` is 1-based, 0 for the whole text; `reason` is what is wrong.

    `cure` is a part of that line and the section that is likely meant by it, where there is one.
    """

    def __init__(self, line: int, reason: str, cure: tuple[str, str] | None = None) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason
        self.cure = cure

    def __str__(self) -> str:
        return f"Lyrics line {self.line}: {self.reason}" if self.line else self.reason


@dataclass(frozen=True)
class Section:
    """One part of a song: `tag` is one of TAGS, `line` the 1-based line of the user's text it begins on."""

    tag: str
    phrases: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """The section in the strict format, such as "[verse] One phrase. Another phrase."."""
        if not self.phrases:
            return f"[{self.tag}]"
        joined = [self.phrases[0]]
        for before, after in pairwise(self.phrases):
            joined += ["." if _joins_without_space(before, after) else ". ", after]
        stop = "" if _is_chinese(self.phrases[-1]) else "."
        return f"[{self.tag}] {''.join(joined)}{stop}"

    @property
    def seconds(self) -> float:
        """A rough length in seconds: a rule of thumb, not a promise."""
        if self.tag in SUNG:
            return sum(map(_phrase_seconds, self.phrases))
        return SECONDS_WORDLESS[self.tag.rpartition("-")[2]]


@dataclass(frozen=True)
class Lyrics:
    """A whole song's lyrics in order."""

    sections: tuple[Section, ...]

    @property
    def text(self) -> str:
        """The strict text the model reads, such as "[intro-short] ; [verse] One phrase."."""
        return " ; ".join(section.text for section in self.sections)

    @property
    def seconds(self) -> float:
        """A rough length in seconds: a rule of thumb, not a promise."""
        return sum(section.seconds for section in self.sections)


def parse(text: str) -> Lyrics:
    """Read lyrics as people type them, or in the strict format, whose text comes back unchanged.

    Raises LyricsError for whatever cannot be repaired without losing meaning.
    """
    if half := half_character(text):
        remedy = "is in it; delete it or type it anew"
        raise LyricsError(len(lines_of(text[: half.start()])), f"{half_named(half[0])} {remedy}.")
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(lines_of(text), start=1):
        for tag, words in pieces(line, number):
            if tag:
                found.append((tag, number, []))
            phrases = phrases_of(words)
            if phrases:
                _refuse_misplaced_words(found[-1][0] if found else "", phrases, number)
                found[-1][2].extend(phrases)
    if not found:
        raise LyricsError(0, "There are no lyrics; write for example: [verse] Paper boats on a stream.")
    for tag, number, phrases in found:
        if tag in SUNG and not phrases:
            remedy = "write them out, also where they repeat, or use [inst-short] for music alone"
            raise LyricsError(number, f"[{tag}] has no words; {remedy}.")
    return Lyrics(tuple(Section(tag, tuple(phrases), number) for tag, number, phrases in found))


# ------------------------------------------------------------------ characters

_HALF_WIDTH: dict[int, Any] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_HALF_WIDTH |= str.maketrans("\u3000。｡､【】〖〗", " ..、[][]")
_HALF_WIDTH |= str.maketrans({"…": "...", "⋯": "...", "‥": ".."})
_HALF_WIDTH |= str.maketrans(dict.fromkeys("“”„‟〝〞「」『』｢｣《》〈〉", '"'))
_HALF_WIDTH |= str.maketrans(dict.fromkeys("‘’‚‛", "'"))
_HALF_WIDTH |= str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_HALF_WIDTH |= str.maketrans(dict.fromkeys("\x0b\x0c\x85\u2028\u2029", "\n"))
# Controls, soft hyphen, zero-width and direction marks, variation selectors, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_END = re.compile("\r\n?")
_DASHES = re.compile("-{2,}")
# Looked for while closing quotes still differ from opening ones; ’ before a letter is an apostrophe.
_STOP_IN_QUOTES = re.compile(r"(?<![.。．｡…；;])([.。．｡…；;]+)((?:[”」』）｣]|’(?!\w))+)")


def lines_of(text: str) -> list[str]:
    """The lines of lyrics in half-width characters, without the space around them."""
    # An ideographic stop ends a phrase also where a half-width one would be read as part of a word.
    apart = half_width(_STOP_IN_QUOTES.sub(r"\2\1", text).replace("。", "。 "))
    return [line.strip() for line in apart.split("\n")]


def half_width(text: str) -> str:
    """Unicode NFC text with half-width punctuation, letters and digits, "\\n" line ends, nothing invisible.

    The ideographic comma stays: what it means differs between Japanese words, Chinese words and lists.
    """
    text = _LINE_END.sub("\n", unicodedata.normalize("NFC", text))
    text = _DASHES.sub("-", _INVISIBLE.sub("", text.translate(_HALF_WIDTH)))
    return unicodedata.normalize("NFC", text)


# ------------------------------------------------------------------ phrases

_STOP_IN_ASCII_QUOTES = re.compile(r"(?<!\.)(\.+)([\"')]+)(?=\s|$)")
_CLOSING = re.compile(r"[\"')]+(?:\s|$)")
_BREAKS = re.compile(r"[;\n]|\.{2,}")
_STOP = re.compile(r"\.")
_LEADING = re.compile(r"(?:[\s,;:.、]|-(?!\d))+")
_TRAILING = " ,;:.!?-、"
REPEATED = re.compile(r"(?:(?:^|[\s(])(?:x\d{1,2}|\d{1,2}x)|(?<!\d)[×✕✖*]\s?\d{1,2})\)?$", re.IGNORECASE)


def phrases_of(words: str) -> list[str]:
    """Split words at full stops, semicolons and ellipses; pieces without a letter or digit are dropped."""
    words = _BREAKS.sub("\n", _STOP_IN_ASCII_QUOTES.sub(r"\2\1", words))
    found = map(_tidy, _STOP.sub(_break_or_stop, words).split("\n"))
    return [phrase for phrase in found if any(map(str.isalnum, phrase))]


def _break_or_stop(match: re.Match[str]) -> str:
    """A stop ends a phrase before a space, beside CJK and in "end.Next", but not in "3.5" or "a.m"."""
    text, at = match.string, match.start()
    before, after = text[at - 1 : at].strip(), text[at + 1 : at + 2].strip()
    if not after or (not before and not after.isdigit()) or _CJK.match(before) or _CJK.match(after):
        return "\n"
    word = text[max(0, at - 2) : at]
    return "\n" if len(word) == 2 and word.isalpha() and word.islower() and after.isupper() else "."


def _tidy(phrase: str) -> str:
    # Markdown taken off a line can leave an accent behind the letter it now belongs to.
    phrase = unicodedata.normalize("NFC", " ".join(phrase.split())).rstrip(_TRAILING)
    core = phrase.rstrip(".\"')")
    phrase = core + phrase[len(core) :].replace(".", "")
    leading = _LEADING.match(phrase)
    phrase = phrase[leading.end() :] if leading else phrase
    return phrase if _KANA.search(phrase) else phrase.replace("、", ",")


def _is_chinese(phrase: str) -> bool:
    return bool(_HAN.search(phrase)) and not _KANA.search(phrase) and not _HANGUL.search(phrase)


def _is_unspaced(phrase: str) -> bool:
    return bool(_UNSPACED.search(phrase)) and not _HANGUL.search(phrase)


def _joins_without_space(before: str, after: str) -> bool:
    """Chinese and Japanese phrases meet at a bare stop, if it can be told from a stop inside a word."""
    beside = _UNSPACED.match(before[-1]) or _UNSPACED.match(after[0])
    plain = bool(beside) and not _CLOSING.match(after)
    return plain and _is_unspaced(before) and _is_unspaced(after)


def _phrase_seconds(phrase: str) -> float:
    characters = len(_CJK.findall(phrase)) - len(_SMALL_KANA.findall(phrase))
    # Decomposing leaves the plain vowel under an accent; Korean is counted and gone by then.
    rest = unicodedata.normalize("NFD", _CJK.sub(" ", phrase).lower())
    syllables = sum(
        len(_VOWELS.findall(word)) or math.ceil(len(word) / 3)
        for word in rest.split()
        if any(map(str.isalnum, word))
    )
    sung = characters * SECONDS_PER_CJK_CHARACTER + syllables * SECONDS_PER_SYLLABLE
    return max(MIN_PHRASE_SECONDS, sung + SECONDS_PAUSE)


def _refuse_misplaced_words(tag: str, phrases: list[str], line: int) -> None:
    for phrase in phrases:
        if REPEATED.search(phrase):
            raise _repeat_error(f'"{_shortened(phrase)}"', line)
    if not tag:
        shown = f'"{_shortened(phrases[0])}"'
        raise LyricsError(line, f"{shown} has no section; begin with a section such as [verse].")
    if tag not in SUNG:
        remedy = "put the words under [verse], [chorus] or [bridge]"
        raise LyricsError(line, f"[{tag}] is played without words; {remedy}.")


# ------------------------------------------------------------------ headings

_NAMES = {tag: tag for tag in TAGS}
_NAMES |= {"主歌": "verse", "副歌": "chorus", "桥段": "bridge", "橋段": "bridge"}
_NAMES |= {name: "intro-short" for name in ("intro", "前奏")}
_NAMES |= {name: "inst-short" for name in ("inst", "instrumental", "间奏", "間奏")}
_NAMES |= {name: "outro-short" for name in ("outro", "尾奏")}
_NAMES |= {f"instrumental-{length}": f"inst-{length}" for length in _LENGTHS}

_COUNTED = (
    r"(?:-?(?:\d{1,3}|[一二三四五六七八九十]{1,3})|(?<=[\u4e00-\u9fff])[a-d]"
    r"|-(?:[a-d]|i{1,3}|iv|vi{0,3}|ix|x|one|two|three|four|five|six|seven|eight|nine|ten))"
)
_KNOWN = re.compile(f"({'|'.join(_NAMES)}){_COUNTED}?")
# Names the model does not have. The second lot are also words to sing, so alone on a line they are words.
_FOREIGN = re.compile(
    "(?:pre-?chorus|post-?chorus|refrain|interlude|guitar-solo|piano-solo|instrumental-break|导歌)"
    f"{_COUNTED}?|(?P<word>hook|solo|break|breakdown|drop|end|ending|coda){_COUNTED}?"
)
_REPEAT = re.compile(r"(?<![a-z\d])(?:x-?\d{1,3}|\d{1,3}-?x)(?![a-z\d])|(?<![a-z])(?:repeat|twice|thrice)")
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

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_TIMES_SIGN = re.compile(r"[×✕✖]|\*(?=\s?\d)")
_WORD = re.compile(r"[^\W_]+")
_QUOTED_LINE = re.compile(r"(?:>\s*)+|[-*•]\s+")
_HASHES = re.compile(r"#{1,6}(\s*)")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3})(?=\S)(.+?)\1(.*)")
_ROUND = re.compile(r"\(([^()]{1,40})\)\s*(.*)")
_UNBRACKETED = re.compile(r"[\w\s#-]{1,40}")


def pieces(line: str, number: int) -> Iterator[tuple[str, str]]:
    """The (tag, words) pairs of one line in order; the first tag is "" if the line begins with words.

    Raises LyricsError for sections the model does not have and for lone square brackets.
    """
    tag, rest = _opening(line, number)
    words, *brackets = _BRACKETS.split(rest)
    _refuse_lone_bracket(words, number)
    yield tag, words
    for content, words in zip(brackets[::2], brackets[1::2], strict=True):
        _refuse_lone_bracket(words, number)
        yield _tag_in_brackets(content, number), words


def _opening(line: str, number: int) -> tuple[str, str]:
    """Take a heading without square brackets and any Markdown dress off the start of a line."""
    line = _QUOTED_LINE.sub("", line, count=1) if _QUOTED_LINE.match(line) else line
    hashes = _HASHES.match(line)
    bare = line[hashes.end() :] if hashes else line
    emphasis = _EMPHASIS.fullmatch(bare)
    bare = emphasis[2] + emphasis[3] if emphasis else bare
    if bare.startswith("["):
        return "", bare
    before, bracket, after = bare.partition("[")
    heading = _heading(before.strip(), bool(hashes or emphasis), number)
    if heading:
        return heading[0], heading[1] + bracket + after
    if hashes and hashes[1] and bare:
        raise _unknown(f'"{_shortened(line)}"', bare, number, bare)
    return "", line if hashes else bare


def _heading(text: str, dressed: bool, number: int) -> tuple[str, str] | None:
    """The (tag, words) of "Verse 1", "Verse 1: words", "(Verse 1)" or "(Verse 1) words"; None for words."""
    in_round = _ROUND.fullmatch(text)
    name, colon, rest = (in_round[1], "", in_round[2]) if in_round else text.partition(":")
    marked = dressed or bool(in_round or colon)
    if not _UNBRACKETED.fullmatch(name.removesuffix(":")):
        return None
    folded = _folded(name)
    known, foreign = _KNOWN.fullmatch(folded), _FOREIGN.fullmatch(folded)
    if known and (known[1] != "silence" or (marked and not (in_round and rest))):
        return _NAMES[known[1]], rest
    if foreign and not (in_round and rest) and (marked or foreign["word"] != folded):
        raise _unknown(f'"{name}"', name, number, f"({name})" if in_round else name)
    if re.fullmatch(rf"repeat-(?:the-)?{_KNOWN.pattern}", folded):
        raise _repeat_error(f'"{name}"', number)
    return None


def _tag_in_brackets(content: str, number: int) -> str:
    folded = _folded(content)
    known = _KNOWN.fullmatch(folded)
    if known:
        return _NAMES[known[1]]
    shown = f"[{_shortened(content.strip())}]"
    if _REPEAT.search(folded):
        raise _repeat_error(shown, number)
    raise _unknown(shown, content, number, f"[{content}]")


def _folded(name: str) -> str:
    return "-".join(_WORD.findall(_TIMES_SIGN.sub("x", name.lower())))


def _unknown(shown: str, name: str, number: int, part: str) -> LyricsError:
    meant = _meant(_folded(name[:80]))
    hint = _listed(meant) if meant else f"{_listed(TAGS)}, or round brackets for words to sing"
    cure = (part, f"[{meant[0]}]") if meant else None
    return LyricsError(number, f"{shown} is not a section the model knows; use {hint}.", cure)


def _meant(folded: str) -> list[str]:
    """The tags that a name may stand for, the likeliest first; [] if nobody can tell."""
    for part, keys in _HINTS:
        if any(f"-{key}-" in f"-{folded}-" if key.isascii() else key in folded for key in keys.split()):
            return [tag for tag in TAGS if tag.startswith(part)]
    return [_NAMES[name] for name in difflib.get_close_matches(folded, _NAMES, n=1, cutoff=0.7)]


def _listed(tags: Iterable[str]) -> str:
    *most, last = (f"[{tag}]" for tag in tags)
    return f"{', '.join(most)} or {last}" if most else last


def _repeat_error(shown: str, number: int) -> LyricsError:
    remedy = "write the words out as often as they are sung"
    return LyricsError(number, f"{shown} asks for a repeat, which the model cannot read; {remedy}.")


def _refuse_lone_bracket(words: str, number: int) -> None:
    if "[" in words:
        shown = f'"[{_shortened(words.partition("[")[2].strip())}"'
        raise LyricsError(
            number, f"the square bracket in {shown} is never closed; write for example [verse]."
        )
    if "]" in words:
        raise LyricsError(number, "a ] has no [ before it; write for example [verse].")


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
