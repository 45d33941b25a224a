"""Who sings: the words that say so, and where they stand in a phrase. Knows no sections."""

from __future__ import annotations

import re

from .tags import LyricsError

# Those of the second lot label also in round brackets, where other words are sung.
_LABELS = """
man woman boy girl boys girls men women both everyone singer choir m f all together he she
narrator lead backing
hombre mujer hombres mujeres chico chica dúo ambos ambas todos todas juntos él ella
homem mulher homens mulheres dueto ele ela
homme femme hommes femmes duo tous toutes ensemble lui elle
mann frau männer frauen duett beide alle zusammen er sie
uomo donna uomini donne duetto tutti tutte insieme entrambi lei
мужчина женщина мужчины женщины дуэт все вместе оба он она
男生 女生 男孩 女孩
男歌手 女歌手 男主 女主 众 眾 全 童声 童聲 旁白
主唱 伴唱 和声 和聲 全员 全員 二人 女性 男性 女子 男子 全体 みんな ふたり
남자 여자 남성 여성 듀엣 둘 모두 함께 다같이 같이
"""
_SURE_LABELS = """
male female duet vocals vocalist муж жен м ж
男 女 男声 女声 男聲 女聲 男女 合 齐 齊 合唱 齐唱 齊唱 对唱 對唱 独唱 남 여 남녀 합창
"""
_WITH_VOICES = "and y e et und & + / part voice vocal vocals singer solo lead backing background"
_LABEL_WORD = re.compile(r"[^\W\d_]+|[&+/]")
_IN_ROUND = frozenset(_SURE_LABELS.split())
_ANYWHERE = _IN_ROUND | frozenset(_LABELS.split())
_ACCOMPANYING = frozenset(_WITH_VOICES.split())
_ROUND_LABEL = re.compile(r"\(([^()]{1,30}?):?\)\s*:?")
_COLON_LABEL = re.compile(r"([^:()]{1,30}):(?!\d)|\(([^()]{1,30})\)\s*:")
_MOST_LABEL_WORDS = 4


def is_voice(text: str, in_round: bool = False) -> bool:
    """Whether a text is nothing but who sings, as "Male 1" or "男"; in round brackets fewer words are."""
    text = text.strip().removesuffix(":").strip().lower()
    words = _LABEL_WORD.findall(text)
    known_labels = _IN_ROUND if in_round else _ANYWHERE
    known = words and len(words) <= _MOST_LABEL_WORDS and any(word in known_labels for word in words)
    if not known or not all(
        word in known_labels or word in _ACCOMPANYING or len(word) == 1 for word in words
    ):
        return False
    return not _LABEL_WORD.sub("", text).strip(" .0123456789")


def is_label(words: str) -> bool:
    """Whether words are nothing but who sings, and a colon."""
    return words.rstrip().endswith(":") and is_voice(words)


def voice_error(shown: str, line: int, part: str) -> LyricsError:
    """What is said of who sings."""
    reason = f"{shown} says who sings, which the model cannot read; leave it out."
    return LyricsError(line, reason, (part, ""))


def labels(phrase: str) -> list[tuple[int, int]]:
    """Where a phrase says who sings: at its start before a colon, or anywhere in round brackets."""
    at_start = []
    start = _COLON_LABEL.match(phrase)
    if start and is_voice(start[1] or start[2]):
        at_start.append(start.span())
    spans = (match.span() for match in _ROUND_LABEL.finditer(phrase) if is_voice(match[1], in_round=True))
    return at_start + [span for span in spans if not at_start or span[0] >= at_start[0][1]]
