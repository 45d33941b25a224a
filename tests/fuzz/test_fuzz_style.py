"""Descriptions of any text and size: refused in a sentence, or a stable list; in time that grows evenly."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levo.text.style import StyleError, conditioned, describe
from levo.text.unicode import composed

SIZE = 65_536  # bytes
SECONDS = 0.1
FAST = settings(max_examples=400, derandomize=True, database=None, deadline=None)

FRAGMENTS = ["sad", "Pop Rock", "男声", "r&b", "125", "ｆｏｌｋ", "İ", "é", "ﬁ", "①", "㎏", "ﾊﾞ"]
FRAGMENTS += ["⒜", "🅰", "½"]
FRAGMENTS += ["\u0301", "\u0316", "\u0f73", "\u200b", "\ufe0f", "\x00", "\x85", "\u00a0", "\u3000"]
FRAGMENTS += [*",，、;；\n。．!！?？'\"&•-*।؟‼…()（）[", ", ", "- ", ". ", ".\n", "\ud83d"]
mixed = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
typed = st.one_of(mixed, st.text(max_size=40))


def described(**fields: str) -> str | None:
    """A description, or None where it is refused in one sentence of sensible length."""
    try:
        return describe(**fields)
    except StyleError as error:
        sentence = str(error)
        sentence.encode()
        assert sentence.startswith("Description field '") and sentence.endswith(".") and len(sentence) < 250
        assert "\n" not in sentence
        return None


@FAST
@given(typed)
def test_any_text_becomes_a_stable_list_with_one_stop_or_is_refused(text: str):
    tags = described(tags=text)
    if tags is None:
        return
    tags.encode()
    assert tags == tags.lower() == unicodedata.normalize("NFC", tags) and "  " not in tags
    assert not tags or (tags.endswith(".") and not tags[:-1].endswith((".", ",", " ", "!", "?")))
    assert describe(descriptions=tags) == tags
    for version in ("v1", "v2"):
        assert conditioned(tags, version, False).endswith(tags)


@FAST
@given(typed)
def test_no_letter_and_no_digit_of_an_accepted_text_is_lost(text: str):
    tags = described(tags=text)
    if tags is None or len(set(tags[:-1].split(", "))) != len(tags[:-1].split(", ")):
        return
    assert letters(tags) >= letters(text), ascii(text)


def letters(text: str) -> set[str]:
    """The letters and digits of a text, whatever their case and dress."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).lower())
    return set(filter(str.isalnum, plain))


@FAST
@given(st.lists(typed, min_size=5, max_size=5))
def test_fields_give_what_one_field_of_all_their_tags_gives(texts: list[str]):
    fields = dict(zip(("gender", "genre", "emotion", "instruments", "tags"), texts, strict=True))
    joined = described(**fields)
    if joined is not None:
        each = [describe(tags=text).removesuffix(".") for text in texts]
        assert joined == describe(tags=", ".join(filter(None, each))) or joined in texts


@FAST
@given(st.text("aeé\u0301\u0316\u0344\u0f73\u0334\u0345가\u1100\u1161か\u3099ǰJ\u030c", max_size=30))
def test_accents_in_any_order_are_composed_as_unicode_does(text: str):
    assert composed(text) == unicodedata.normalize("NFC", text)


TRIPLES = (f"{chr(97 + n // 676 % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(SIZE // 4))
SHAPES = {
    "commas": "," * SIZE,
    "commas and letters": "a," * (SIZE // 2),
    "many tags": ",".join(TRIPLES),
    "new lines": ";\n" * (SIZE // 2),
    "brackets that open": "(" * SIZE,
    "brackets in brackets": "(" * (SIZE // 2) + ")" * (SIZE // 2),
    "brackets in pairs": "()" * (SIZE // 2),
    "numbers in brackets": "".join(f"({n})" for n in range(SIZE // 7)),
    "a list in brackets": f"({'a,' * (SIZE // 2)})",
    "spaces": f"a{' ' * SIZE}b",
    "accents": "a" + "\u0301\u0316" * (SIZE // 4),
    "accents made of several": "a" + "\u0f73\u0301" * (SIZE // 5),
    "accents parted by nothing": "a" + "\u0301\u200b\u0316\x07" * (SIZE // 8),
    "stops": "." * SIZE,
    "stops between letters": f"aa{'!' * SIZE}a",
    "stops and quotes": "a" + "'." * (SIZE // 2),
    "dashes": "- " * (SIZE // 2),
    "Chinese": "好，" * (SIZE // 6),
    "ligatures": "ﬁ" * (SIZE // 3),
    "circles": "Ⓐ," * (SIZE // 4),
    "half a character": "a" * SIZE + "\ud83d",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_64_kilobytes_of_any_shape_take_no_time(shape: str):
    spent = []
    for _ in range(5):  # the machine may be busy
        start = time.process_time()
        described(tags=SHAPES[shape])
        spent.append(time.process_time() - start)
    assert min(spent) < SECONDS
