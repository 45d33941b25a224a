"""Style: fields of tags become one comma list, and the list becomes the text of the released versions."""

from __future__ import annotations

import json
import unicodedata
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
    assert describe(tags=tag) == f"{tag}."


def test_a_long_list_of_tags_stays_apart_and_in_order():
    assert describe(genre=", ".join(KNOWN_TAGS)) == f"{', '.join(KNOWN_TAGS)}."


def test_fields_follow_in_a_fixed_order():
    described = describe(
        gender="Female",
        genre="Pop Rock",
        emotion="wistful",
        instruments="piano, drums",
        tags="the bpm is 125",
    )
    assert described == "female, pop rock, wistful, piano, drums, the bpm is 125."


def test_empty_fields_leave_nothing_behind():
    assert describe(genre="", tags="") == ""
    assert describe(gender=" ", genre="rock", emotion=",,", instruments="\n;", tags=".") == "rock."


@pytest.mark.parametrize(
    "published",
    [
        "pop ballad, resilient, piano, string section, drum kit.",
        "female, dark, pop, sad, piano and drums, the bpm is 125.",
        "hip hop.",
        "jazz, piano, jazz, double bass.",
        "r&b, 80s pop, lo-fi hip hop, dj scratches, fx.",
        "forró eletrônico, strings (violin, cello), vocals (rap).",
        "男声, 民谣, 温柔, 木吉他.",
        "u.s. folk, bpm is 92.5.",
    ],
)
@pytest.mark.parametrize("field", ["genre", "tags", "descriptions"])
def test_a_description_in_the_published_form_comes_through_as_it_is(field, published):
    fields = {"genre": "", "tags": " "} | {field: published}
    assert describe(**fields) == published
    assert conditioned(published, "v1", False) == published
    assert conditioned(published, "v2", False) == f"[Musicality-very-high], {published}"


@pytest.mark.parametrize(
    "typed",
    [*("rock, drum kit" + end for end in ("", ".", "...", "。", "．", "｡", "!", "！", "?!", "।", "؟", "‼"))]
    + ["rock, drum kit . ", "rock,drum kit.\n", "rock, drum kit.,", "Rock., drum kit", "rock.; drum kit;"],
)
def test_a_list_ends_with_one_stop_whatever_was_typed(typed):
    assert describe(tags=typed) == "rock, drum kit."


def test_the_stop_of_each_field_is_one_at_the_end():
    fields = {"gender": "female", "genre": "pop.", "instruments": "piano, drums.", "tags": "."}
    assert describe(**fields) == "female, pop, piano, drums."
    assert describe(tags='"rock, drum kit."') == '"rock, drum kit".'


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
        ("ja\x00zz\u200b,\ufeff ro\x07ck", "jazz, rock"),
        ("-, &, ♪, folk", "folk"),
    ],
)
def test_tags_are_separated_and_cleaned(typed, tags):
    assert describe(tags=typed) == f"{tags}."


def test_a_tag_named_in_two_fields_is_kept_where_it_came_first():
    assert (
        describe(genre="folk, sad", emotion="Sad, calm", instruments="piano", tags="folk, piano, night")
        == "folk, sad, calm, piano, night."
    )
    assert describe(genre="jazz, jazz.", tags="jazz") == describe(tags="Jazz, jazz.") == "jazz."


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        ("ﬁddle, ﬂute, oﬃce", "fiddle, flute, office"),
        ("①, ８０ｓ, Ⅳ, ⅻ", "1, 80s, iv, xii"),
        ("㎏, ㏒, ㍿", "kg, log, 株式会社"),
        ("ﾊﾞﾝﾄﾞ, ﾛｯｸ", "バンド, ロック"),
        ("𝓻𝓸𝓬𝓴, 𝕁𝕒𝕫𝕫, ⓟⓞⓟ", "rock, jazz, pop"),
        ("ﻓﻦ, ﻻ", "فن, لا"),
        ("⼀, ⿓", "一, 龍"),
        # Kept as they are: folding would say less, or put signs between letters.
        ("⒜, ㈱, ℅, ½, x², ㅋㅋ, 🅱", "⒜, ㈱, ℅, ½, x², ㅋㅋ, 🅱"),
        ("İstanbul, ΟΔΟΣ, J\u030c", "i\u0307stanbul, οδος, \u01f0"),
    ],
)
def test_letters_in_another_dress_are_not_lost(typed, tags):
    assert describe(tags=typed) == f"{tags}."


def test_every_letter_that_is_a_tag_stays_one():
    letters = [chr(code) for code in range(0x21, 0x32000) if not 0xD800 <= code < 0xE000]
    plain = [letter for letter in letters if any(map(str.isalnum, unicodedata.normalize("NFKC", letter)))]
    assert len(plain) > 100_000
    lost = [letter for letter in plain if not describe(tags=letter)]
    assert lost == []


@pytest.mark.parametrize("typed", ["\ud83d", "folk, sad\ude00 song", "[x] \udfff", "a" * 99 + "\ud800"])
def test_half_a_character_is_refused_in_one_sentence(typed):
    with pytest.raises(StyleError) as refusal:
        describe(genre="folk", tags=typed)
    half = next(character for character in typed if "\ud800" <= character <= "\udfff")
    assert str(refusal.value) == (
        f"Description field 'tags' has half a character (U+{ord(half):04X}, such as a cut emoji leaves); "
        "delete it or type it anew."
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
