"""Lines of lyrics in half-width characters, and which characters belong to which script.

Knows no sections and no phrases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import escapes
from .tags import LyricsError, shortened
from .unicode import composed, half_character, half_named

HAN_RANGE = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA_RANGE = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_HANGUL_RANGE = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
UNSPACED_RANGE = HAN_RANGE + _KANA_RANGE
CJK_RANGE = UNSPACED_RANGE + _HANGUL_RANGE
HAN = re.compile(f"[{HAN_RANGE}]")
KANA = re.compile(f"[{_KANA_RANGE}]")
HANGUL = re.compile(f"[{_HANGUL_RANGE}]")
UNSPACED = re.compile(f"[{UNSPACED_RANGE}]")
CJK = re.compile(f"[{CJK_RANGE}]")

_HALF_WIDTH: dict[int, Any] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_HALF_WIDTH |= str.maketrans("\u3000。｡､【】〖〗", " ..、[][]")
_HALF_WIDTH |= str.maketrans({"…": "...", "⋯": "...", "‥": ".."})
_HALF_WIDTH |= str.maketrans(dict.fromkeys("“”„‟〝〞「」『』｢｣《》〈〉", '"'))
_HALF_WIDTH |= str.maketrans(dict.fromkeys("‘’‚‛", "'"))
_HALF_WIDTH |= str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_HALF_WIDTH |= str.maketrans(dict.fromkeys("\x0b\x0c\x85\u2028\u2029", "\n"))
# Stops of other scripts: Devanagari, Urdu, Armenian, Hebrew, Ethiopic, Khmer, Myanmar, Tibetan, Syriac,
# N'Ko, Sinhala, Canadian, Mongolian, Javanese, Vai, and the vertical and small forms of East Asian ones.
# A space follows, so that one is a stop also where a half-width one would be read as part of a word.
_STOPS = dict.fromkeys("。।॥۔։׃።፨។៕။།༎܀܁܂෴᙮᠃᠉꧉꘎︒﹒", ". ")
_STOPS |= (
    dict.fromkeys("،՝፣፥၊߸᠂꧈꘍︐﹐", ",") | dict.fromkeys("؛፤︔﹔", ";") | dict.fromkeys("؟፧⸮︖﹖⁇⁈", "?")
)
_STOPS |= dict.fromkeys("߹︕﹗‼⁉", "!") | dict.fromkeys("៖፦︓﹕", ":") | {"፡": " ", "﹑": "、"}
_OTHER_STOPS = str.maketrans(_STOPS)
# Controls, soft hyphen, zero-width and direction marks, variation selectors, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_END = re.compile("\r\n?")
_DASHES = re.compile("-{2,}")
# Looked for while closing quotes still differ from opening ones; ’ before a letter is an apostrophe.
_STOP_IN_QUOTES = re.compile(r"(?<![.。．｡…；;])([.。．｡…；;]+)((?:[”」』）｣]|’(?!\w))+)")
# What nothing on this page changes, unless there are two hyphens in a row.
_NOTHING_SPECIAL = re.compile(r"[ !#-%'-;=-\[\]-~]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """The lines of lyrics in half-width characters, without escapes and the space around them.

    Each comes with the 1-based line of the text it stands on: an escape may end a line where the text
    has none.

    Raises:
        LyricsError: half a character, or escapes within escapes without end.
    """
    for number, line in enumerate(_written_lines(escapes.unwrapped(text)), start=1):
        yield from ((number, part.strip()) for part in _plain(line, number).split("\n"))


def half_width(text: str) -> str:
    """Unicode NFC text with half-width punctuation, letters and digits, "\\n" line ends, nothing invisible.

    The ideographic comma stays: what it means differs between Japanese words, Chinese words and lists.
    """
    text = _LINE_END.sub("\n", composed(text))
    text = _DASHES.sub("-", _INVISIBLE.sub("", text.translate(_HALF_WIDTH)))
    return composed(text)


def without_half_characters(text: str) -> str:
    """A text without lone surrogates; two halves beside each other are one character."""
    return _SURROGATE.sub("", _whole_characters(text)) if half_character(text) else text


def _whole_characters(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _written_lines(text: str) -> list[str]:
    text = _whole_characters(text) if _SURROGATE.search(text) else text
    return re.split("[\n\x0b\x0c\x85\u2028\u2029]", _LINE_END.sub("\n", text))


def _plain(line: str, number: int) -> str:
    """A line without escapes, in half-width characters."""
    if _NOTHING_SPECIAL.fullmatch(line) and "--" not in line:
        return line
    for _ in range(escapes.MOST_LAYERS):
        shown = escapes.undone(line)
        if _SURROGATE.search(shown):
            shown = _whole_characters(shown)
            _refuse_half_character(shown, number)
        shown = half_width(_STOP_IN_QUOTES.sub(r"\2\1", shown).translate(_OTHER_STOPS))
        if escapes.undone(shown) == shown:
            return shown
        line = shown
    reason = f'"{shortened(line.strip())}" holds escapes within escapes; write the words themselves.'
    raise LyricsError(number, reason)


def _refuse_half_character(line: str, number: int) -> None:
    if half := half_character(line):
        reason = f"{half_named(half[0])} is in it; delete it or type it anew."
        raise LyricsError(number, reason, (half[0], ""))
