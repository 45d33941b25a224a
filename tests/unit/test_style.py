"""Style: fields of tags become one comma list, and the list becomes the text of the released versions."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from levo.text.style import StyleError, conditioned, describe, null_text

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "tokens.json").read_text(encoding="utf-8"))
STYLES = {name: sample["text"] for name, sample in GOLDEN["styles"]["v2"].items()}

# The awkward ones among the tags that the released models know best.
KNOWN_TAGS = (
    """
r&b|r&b/soul|rhythm & blues|christian & gospel|hip-hop|lo-fi hip hop|c-pop|80s pop|hi-nrg|doo-wop|a cappella
children's music|singer-songwriter|contemporary christian music (ccm)|rock and roll
rock & roll|traditional chinese music|norteño|sierreño|forró|forró eletrônico|funk mandelão|kayōkyoku
rock en español|g-funk|uk drill|drum and bass|melodic death metal|east coast hip-hop|new jack swing
boogie-woogie|nu-disco|feel-good|laid-back|thought-provoking|socially conscious|social commentary
action-packed|high-energy|strings (violin, cello)|dizi (chinese flute)|dizi (chinese bamboo flute)
chinese flute (dizi)|vocals (rap)
808|808 bass|sub-bass|güiro|cajón|bağlama|children's choir|pedal steel guitar|spoken word sample|male|mixed
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


@pytest.mark.parametrize("tag", KNOWN_TAGS)
def test_known_tag_passes_unchanged(tag):
    assert describe(tags=tag) == tag


def test_a_long_list_of_tags_stays_apart_and_in_order():
    assert describe(genre=", ".join(KNOWN_TAGS)) == ", ".join(KNOWN_TAGS)


def test_fields_follow_in_a_fixed_order():
    described = describe(
        gender="Female",
        genre="Pop Rock",
        emotion="wistful",
        instruments="piano, drums",
        tags="the bpm is 125",
    )
    assert described == "female, pop rock, wistful, piano, drums, the bpm is 125"


def test_empty_fields_leave_nothing_behind():
    assert describe(genre="", tags="") == ""
    assert describe(gender=" ", genre="rock", emotion=",,", instruments="\n;", tags=".") == "rock"


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        ("sad,folk;piano\ndrums\r\nbass", "sad, folk, piano, drums, bass"),
        ("男声，民谣、温柔；木吉他。", "男声, 民谣, 温柔, 木吉他"),
        ("  Lo-Fi \t  Hip   Hop  ", "lo-fi hip hop"),
        ("ＪＡＺＺ，Ｒ＆Ｂ", "jazz, r&b"),
        ("jazz, JAZZ, Jazz.", "jazz"),
        ("sad, folk, piano.", "sad, folk, piano"),
        ("sad., folk!", "sad, folk"),
        ("- piano\n- drums\n• bass", "piano, drums, bass"),
        ("lo-fi - jazz", "lo-fi - jazz"),
        (
            "Strings (violin, viola; cello、\ndouble bass), piano",
            "strings (violin, viola; cello、 double bass), piano",
        ),
        ("笛子（中国），古筝", "笛子(中国), 古筝"),
        ("bpm is 92.5", "bpm is 92.5"),
        ("u.s. folk", "u.s. folk"),
        ("don’t stop", "don't stop"),
        ("forro\u0301", "forr\u00f3"),
        ("ja\x00zz\u200b,\ufeff ro\x07ck\ud800", "jazz, rock"),
        ("-, &, ♪, folk", "folk"),
    ],
)
def test_tags_are_separated_and_cleaned(typed, tags):
    assert describe(tags=typed) == tags


def test_a_tag_named_in_two_fields_is_kept_where_it_came_first():
    assert (
        describe(genre="folk, sad", emotion="Sad, calm", instruments="piano", tags="folk, piano, night")
        == "folk, sad, calm, piano, night"
    )


SENTENCE = 'reads like a sentence; write short tags separated by commas, such as "sad, folk, piano".'
SQUARE = "has square brackets, which the model keeps for its own marks; leave them out."
ROUND = "has a round bracket without its partner; add the other one or leave both out."


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("a sad song about the sea.", f': "a sad song about the sea." {SENTENCE}'),
        ("folk, Make it  sound like old radio", f': "Make it sound like old radio" {SENTENCE}'),
        ("A sad song (slow) about the sea", f': "A sad song (slow) about the sea" {SENTENCE}'),
        ("piano (a song about the deep sea)", f': "piano (a song about the deep sea)" {SENTENCE}'),
        ("male. jazz. piano.", f': "male. jazz. piano." {SENTENCE}'),
        ("Go! Now", f': "Go! Now" {SENTENCE}'),
        ("why? because", f': "why? because" {SENTENCE}'),
        ("一首关于大海的悲伤歌曲", f': "一首关于大海的悲伤歌曲" {SENTENCE}'),
        ("悲伤。民谣", f': "悲伤. 民谣" {SENTENCE}'),
        ("la " * 40, f': "{("la " * 40)[:57]}..." {SENTENCE}'),
        ("[Pure-Music], folk", f" {SQUARE}"),
        ("folk]", f" {SQUARE}"),
        ("【民谣】", f" {SQUARE}"),
        ("strings (violin, cello", f" {ROUND}"),
        ("violin), cello", f" {ROUND}"),
        ("violin) (cello", f" {ROUND}"),
    ],
)
@pytest.mark.parametrize("field", ["gender", "genre", "emotion", "instruments", "tags"])
def test_refusal_names_the_field_in_one_sentence(field, typed, reason):
    fields = dict.fromkeys(["gender", "genre", "emotion", "instruments", "tags"], "folk") | {field: typed}
    with pytest.raises(StyleError) as refusal:
        describe(**fields)
    assert str(refusal.value) == f"Description field '{field}'{reason}"


@pytest.mark.parametrize(
    ("tags", "version", "instrumental", "text"),
    [
        ("Female, Rock", "v2", False, "[Musicality-very-high], female, rock"),
        ("", "v2", False, "[Musicality-very-high], ."),
        ("Ambient, calm", "v2", True, "[Musicality-very-high], [Pure-Music], ambient, calm"),
        (" ", "v2", True, "[Musicality-very-high], [Pure-Music], ."),
        ("Female, Rock", "v1", False, "female, rock"),
        ("Female, Rock", "v1", True, "female, rock"),
        ("", "v1", False, ""),
        ("", "v1", True, ""),
    ],
)
def test_conditioned_text_of_each_version(tags, version, instrumental, text):
    assert conditioned(tags, version, instrumental) == text


def test_conditioned_text_is_what_the_golden_tokens_were_made_from():
    assert conditioned(STYLES["full"], "v2", False) == STYLES["v2"]
    assert conditioned("", "v2", False) == STYLES["v2none"]
    assert conditioned("ambient, calm, piano", "v2", True) == STYLES["v2bgm"]
    assert null_text(STYLES["v2"]) == null_text(STYLES["v2bgm"]) == STYLES["v2null"]


def test_null_text_of_v1_is_empty():
    assert null_text(conditioned("rock", "v1", False)) == null_text("") == ""


def test_unknown_version_is_refused():
    with pytest.raises(ValueError, match=r"^Unknown model version 'v3'; use 'v1' or 'v2'\.$"):
        conditioned("rock", "v3", False)


def test_any_text_becomes_a_stable_list_or_is_refused():
    generator = random.Random(0)
    fragments = [
        "sad",
        "Pop Rock",
        "男声",
        "r&b",
        "125",
        "ｆｏｌｋ",
        "İ",
        "é",
        "\u0301",
        "\u200b",
        "\ud800",
        "\x00",
    ]
    fragments += [*",，、;\n.。!?'&•[-\u3000 ()（）", ", ", "- "]
    accepted = 0
    for _ in range(5000):
        typed = "".join(generator.choices(fragments, k=generator.randrange(12)))
        try:
            tags = describe(tags=typed)
        except StyleError as error:
            str(error).encode()
            continue
        accepted += 1
        tags.encode()
        assert tags == tags.lower() and not tags.endswith((".", ",")) and "  " not in tags, ascii(typed)
        assert describe(tags=tags) == tags, ascii(typed)
    assert accepted > 1000
