"""Lyrics and descriptions of all kinds: what is accepted stays so, nothing dies or takes long."""

from __future__ import annotations

from support import pack  # noqa: F401  # first: it makes levo importable

# isort: split
import random
import time
from collections.abc import Callable
from functools import partial

from attack.judge import Findings, Silent
from levo.text import editing, lyrics, style

SEED = 14
LYRICS, DESCRIPTIONS, MOST = 40_000, 5_000, 24  # how many of each; pieces of one text
GROWTH = 64_000  # characters of a text whose time is measured
SECONDS = 1.0  # that such a text may take
PIECES = [
    *(
        "[verse]",
        "[chorus]",
        "[bridge]",
        "[intro-short]",
        "[outro-medium]",
        "[inst-long]",
        "[silence]",
        "[Verse 1]",
    ),
    *(
        "[CHORUS]",
        "[hook]",
        "verse:",
        "Chorus:",
        "**Bridge**",
        "# Chorus",
        "Final",
        "Припев:",
        "副歌",
        "サビ",
    ),
    *"[]();:,.!?。！？、；—…*",
    *(
        "x3",
        "(x2)",
        "3x",
        "(bis)",
        "[00:12.34]",
        "[00:01]",
        "Male:",
        "男：",
        "BMW X5",
        "3X",
        "x",
        "Estribillo",
    ),
    *("&#39;", "&amp;", "\\n", "\\u00e9", "<b>", "**", "__", "~~", "ｆｕｌｌ", "ﬁ", "①", "ß", "é", "ñ"),
    *("la", "Hello", "love", "don't", "22", "爱", "我", "的", "歌", "さくら", "사랑", "любовь"),
    *("\u200b", "\u00ad", "\ufeff", "\u200f", "🎵", "♪", "॥", "؟", "።", "¿", "¡"),
]
GAPS = (" ", " ", " ", "\n", "\n", "\n\n", "", "\t", "\r\n", "\u2028", "; ", " ; ")
SHAPES = [
    *(
        "[verse]\nla\n",
        "[chorus]\n",
        "[chorus] la x8\n",
        "la (x3)\n",
        "a\u0301\u0327",
        "\u0327\u0301",
        "e\u0301 ",
    ),
    *(
        "(",
        ")",
        "((",
        "[",
        "]",
        "[[",
        "; ",
        ".",
        ". ",
        "。",
        "-",
        ":",
        " ",
        "\n",
        "\t",
        "\r",
        "\u2028",
        "\u200b",
    ),
    *("x3 ", "x3\n", "1x ", "&amp;", "&#39;", "\\n", "\\u0041", "Verse:\n", "**", "**a**\n", "[00:00.00]"),
    *(
        "Male: a\n",
        "爱 ",
        "爱",
        "사",
        "a",
        "a ",
        "[x]\n",
        "[verse",
        "verse] ",
        "[intro-short]\n",
        "A" * 40 + "\n",
    ),
    *("'", '"', "<b>"),
]


def main() -> None:
    """Random texts, then texts that repeat one thing."""
    findings, chance = Findings("text"), random.Random(SEED)
    for _ in range(LYRICS):
        text = _mixed(chance)
        findings.attempt(f"lyrics {text!r}", partial(_parsed, text))
        findings.attempt(f"tidy {text!r}", partial(_tidied, text))
    for _ in range(DESCRIPTIONS):
        text = _mixed(chance).replace("[", "").replace("]", "")
        findings.attempt(f"description {text!r}", partial(_described, text))
    for start in ("", "[verse] a ", "[chorus]\nla\n"):
        for shape in SHAPES:
            text = (start + shape * GROWTH)[:GROWTH]
            for name, look in (("parse", lyrics.parse), ("report", editing.report), ("tags", _tags)):
                findings.attempt(f"{name} of {start!r} and many {shape[:9]!r}", partial(_soon, look, text))
    findings.report()


def _mixed(chance: random.Random) -> str:
    pieces = (chance.choice(PIECES) + chance.choice(GAPS) for _ in range(chance.randint(1, MOST)))
    text = "".join(pieces)
    return "[verse] " + text if chance.random() < 0.5 else text


def _parsed(text: str) -> None:
    strict = lyrics.parse(text).text
    again = lyrics.parse(strict).text
    if again != strict:
        raise Silent(f"{strict!r} becomes {again!r}")


def _tidied(text: str) -> None:
    report = editing.report(text)
    if report.tidy is None:
        return
    after = editing.report(report.tidy)
    if after.tidy != report.tidy:
        raise Silent(f"{report.tidy!r} is tidied once more, to {after.tidy!r}")
    wordless = any(s.tag in lyrics.SUNG and not s.phrases for s in report.sections)
    if after.problem and not wordless:
        raise Silent(f"{report.tidy!r} still has a problem: {after.problem}")


def _tags(text: str) -> str:
    return style.describe(tags=text)


def _described(text: str) -> None:
    tags = _tags(text)
    if _tags(tags) != tags:
        raise Silent(f"{tags!r} becomes {_tags(tags)!r}")


def _soon(look: Callable[[str], object], text: str) -> None:
    start = time.process_time()
    try:
        look(text)
    finally:
        spent = time.process_time() - start
        if spent > SECONDS:
            raise Silent(f"takes {spent:.1f} s")


if __name__ == "__main__":
    main()
