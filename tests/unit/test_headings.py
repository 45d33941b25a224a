"""Headings: a line dressed as one is a section or is refused, in every language, and is never sung."""

from __future__ import annotations

import pytest

from levo.text import editing, section_names
from levo.text.lyrics import SUNG, LyricsError, parse


def each(listed: str) -> list[str]:
    return listed.split("|")


def around(heading: str) -> str:
    """A song with a heading in it, as people write them: after an empty line, above words."""
    return f"[verse]\nla la\n\n{heading}\nlo lo\n"


# A heading that is taken as it is, and its section.
TAKEN = {
    "verse": "Verse 2:|**Verse 1**|1. Verse|2nd Verse|Second verse:|> **Verse Two**|Verse 1 (Ann):"
    "|--- Verse ---"
    "|Куплет 1:|Estrofa 1|Verso|Couplet 2|Strophe 1:|Strofa:|1절|[1절]|Aメロ|【Bメロ】|主歌二："
    "|第二段主歌|[Куплет 2]"
    "|<h3>Verse 1</h3>|**Verse 1** *(soft)*|Primera estrofa",
    "chorus": "Final Chorus:|Last chorus|**Final Chorus** (key change)|=== Chorus ===|<Chorus>"
    "|{Chorus}|🎵 Chorus 🎵"
    '|"Chorus"|• Chorus|~ Chorus ~|***Chorus***|**Chorus**:|`Chorus`|Chorus!|Chorus —|Припев:|ПРИПЕВ'
    "|Последний припев:|Estribillo|(Coro)|**Coro final**|Refrão:|Refrao|## Kehrreim|Ritornello|サビ"
    "|大サビ"
    "|ラストサビ:|후렴:|[후렴 2]|(코러스)|最后副歌：|副歌 2|Chœur|<b>Chorus</b>",
    "bridge": "**Bridge** (half-time, low voice; the band answers)|Bridge (soft):"
    "|## Bridge (spoken)|Puente:|Ponte|Pont:"
    "|Brücke|бридж|ブリッジ|브릿지|桥段",
}
# One that is refused, with the relative that its sentence names first.
REFUSED = {
    "[verse]": "Pre-Chorus:|**Pre Chorus**|Pré-refrão:|Предприпев:|预副歌：|프리코러스"
    "|Verse 1 - soft|Verse 2 by Ann|Build-up:"
    "|[Verse 1: Ann]|Verse (la la)",
    "[chorus]": "Refrain:|Hook:|**Hook**|[Final Chorus]|Chorus of angels:|**Chorus of angels**"
    "|Chorus - softly"
    "|Chorus (softly)|**Chorus** hold on|[Последний припев]|[Chorus: A & B]|Post-chorus",
    "[bridge]": "Bridge over water:|# Bridge of sighs|Middle Eight|Bridge (low voice)",
    "[inst-short]": "Guitar Solo|**Guitar solo**|Solo:|Соло|Solo de guitarra|ギターソロ|吉他独奏"
    "|Interlude|Instrumental break",
    "[outro-short]": "Outro - fade|Coda:|結尾:".replace("結", "结") + "|Ende:|**Fin**",
}
# Nobody can tell what these are, so all sections are named.
STRANGE = "**Paper Boats**|# Paper Boats|Part 1:|[zzz]|Zwei Drei 4:"
MORE_TAKEN = (
    "Verse (1)|Verso dos|Estrofa uno|Strophe drei|Куплет два"
    "|1) **Verse**|※主歌|［主歌］|｛Verse｝|Verse One."
)
MORE_REFUSED = {
    "[verse]": "Vers:|Vers 1|Rap:|**Spoken**|Verse / Chorus|Verse 1 + Chorus|Spoken:|Ad-lib:",
    "[chorus]": "Chorus / Outro|Chorus & Refrain|高潮：",
    "[inst-short]": "(Instrumental: 8 bars)|(long guitar solo here)|-- Guitar solo --|*guitar solo*|过门",
}
REPEATS = (
    "Chorus (x2)|Chorus (x2):|**Chorus** (x2)|**Chorus x2**|CHORUS X2|Припев х2:|副歌（重复）"
    "|Chorus again|Repeat chorus"
    "|(Repeat chorus)|повтор припева|サビ繰り返し|Coro (bis)|[Repeat Chorus]|[Припев х2]|후렴 반복"
)
# Words, though they hold a name or a mark of headings.
WORDS = (
    "Bridge over water|Chorus of angels|Estribillo suave|Verse by verse we fall|She said: stay"
    "|Silence|Solo|The end|Fin"
    "|(cross the bridge)|(oh yeah)|Under the bridge: a boat|We sing the chorus again tonight"
    "|最后的副歌里你哭了"
    "|*so long*|**you** and me|Puente sobre aguas|Мост над рекой|Final|Again|bis bald"
    "|**one long line that is all bold**"
)


def pairs(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(heading, tag) for tag, listed in table.items() for heading in each(listed)]


@pytest.mark.parametrize(("heading", "tag"), pairs(TAKEN | {"verse": f"{TAKEN['verse']}|{MORE_TAKEN}"}))
def test_a_dressed_heading_is_its_section(heading: str, tag: str):
    assert parse(around(heading)).text == f"[verse] la la. ; [{tag}] lo lo."


@pytest.mark.parametrize(("heading", "relative"), pairs(REFUSED) + pairs(MORE_REFUSED))
def test_what_is_no_section_is_refused_with_its_line_and_its_relative_and_tidy_takes_that(
    heading, relative
):
    found = editing.report(around(heading))
    assert found.problem.line == 4
    assert f"is not a section the model knows; use {relative}" in found.problem.reason
    healed = parse(found.tidy)
    assert f"[{healed.sections[1].tag}]" == relative
    assert healed.sections[-1].phrases[-1] == "lo lo"


@pytest.mark.parametrize("heading", each(STRANGE))
def test_what_looks_like_a_heading_and_names_nothing_is_refused(heading: str):
    with pytest.raises(
        LyricsError, match="is not a section the model knows; use .* words to sing"
    ) as refusal:
        parse(around(heading))
    assert refusal.value.line == 4


@pytest.mark.parametrize("heading", each(REPEATS))
def test_a_heading_that_asks_for_a_repeat_says_so(heading: str):
    with pytest.raises(LyricsError, match="asks for a repeat") as refusal:
        parse(around(heading))
    assert refusal.value.line == 4


@pytest.mark.parametrize("line", each(WORDS))
def test_words_that_hold_a_name_stay_words(line: str):
    song = parse(f"[verse]\nla la\n{line}\nlo lo")
    assert len(song.sections) == 1
    assert len(song.sections[0].phrases) == 3
    assert editing.report(f"[verse]\nla la\n{line}\nlo lo").problem is None


NAMES = [
    (name, tag)
    for tag, languages in section_names.NAMES.items()
    for listed in languages.values()
    for name in listed.split(", ")
]


@pytest.mark.parametrize("dress", ["[{}]", "**{}**", "{}:", "({})", "## {}", "{} 2:", "- {}:"])
def test_every_name_of_the_table_is_its_section_in_every_dress(dress: str):
    for name, tag in NAMES:
        for written in (name, name.title(), name.upper()):
            heading = f"{dress.format(written)}\n" + ("lo lo" if tag in SUNG else "[verse]\nlo lo")
            assert parse(f"[verse]\nla\n{heading}").sections[1].tag == tag, (dress, written)


def test_ten_languages_have_a_name_for_what_is_sung():
    for tag in SUNG:
        assert {"en", "zh", "es", "ja", "pt", "fr", "de", "it", "ru", "ko"} <= set(section_names.NAMES[tag])


def test_a_heading_above_its_own_name_is_healed():
    found = editing.report("[verse]\nКуплет 1:\nФонари над пристанью")
    assert found.problem.line == 1
    assert found.tidy == "[verse]\nФонари над пристанью"


def test_a_note_beside_a_heading_without_dress_stays_for_people_to_see():
    assert editing.report(around("Chorus (hold me)")).tidy == "[verse]\nla la\n\n[chorus]\n(hold me)\nlo lo"
    assert (
        editing.report(around("Verse 2 by the sea")).tidy == "[verse]\nla la\n\n[verse]\nby the sea\nlo lo"
    )


@pytest.mark.parametrize("aside", each("(sing the chorus)|(verse by verse)|(Sweet chorus)"))
def test_tidy_leaves_an_aside_alone_that_may_be_sung(aside: str):
    found = editing.report(around(aside))
    assert found.problem.line == 4 and found.tidy is None


def test_a_colon_below_other_words_is_no_heading():
    assert parse("[verse]\nand then I said:\nstay\nthree:\nfour").sections[0].phrases[2] == "three"
