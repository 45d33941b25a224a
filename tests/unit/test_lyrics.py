"""Lyrics: the strict text comes back unchanged, typed text is repaired, and the rest is refused by line."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from levo.text.lyrics import SUNG, TAGS, LyricsError, Section, half_width, parse

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "tokens.json").read_text(encoding="utf-8"))
SAMPLES = {name: sample["text"] for name, sample in GOLDEN["lyrics"]["v2"].items()}

ENGLISH = """Verse 1
The kettle sings at half past four,
a coat still hangs behind the door -
and who was that? The milkman's tune!
We danced in socks beneath the moon...

CHORUS:
Stay (stay), stay a little while;
I'd walk the long way for that smile!

[Instrumental]

(Chorus)
Stay (stay), stay a little while.

**Outro**
"""
RUSSIAN = "[Verse]\nСнег ложится на дома,\nУлица — сошла с ума…\n[Chorus]\nЕщё не поздно!\n[Outro]"
KOREAN = "[verse]\n오늘도 창가에 앉아,\n너의 이름을 불러 본다。\n[chorus]\n돌아와 줘！"
MIXED = "【主歌】\n城市的灯慢慢亮\nI keep on waiting\n我还在这里\n【副歌】\nOh 我的爱\nこんばんは、東京"

TYPED = {
    "english": (
        ENGLISH,
        "[verse] The kettle sings at half past four. a coat still hangs behind the door. "
        "and who was that? The milkman's tune. We danced in socks beneath the moon. ; "
        "[chorus] Stay (stay), stay a little while. I'd walk the long way for that smile. ; "
        "[inst-short] ; [chorus] Stay (stay), stay a little while. ; [outro-short]",
    ),
    "chinese": (
        "【前奏】\n主歌1：\n灯火落在，旧巷口。\n雨声敲着木窗头！\n\n副歌：若你听见风在唱……\n那是我没说的“话。”\n间奏\n（尾奏）",
        "[intro-short] ; [verse] 灯火落在,旧巷口.雨声敲着木窗头 ; "
        '[chorus] 若你听见风在唱.那是我没说的"话" ; [inst-short] ; [outro-short]',
    ),
    "traditional chinese": ("橋段\n橋上的月光\n間奏", "[bridge] 橋上的月光 ; [inst-short]"),
    "japanese": (
        "[Intro]\n[Verse]\n夜明けの駅で、君を待つ。\n「白い息」が空に溶ける！\n[Outro Long]",
        '[intro-short] ; [verse] 夜明けの駅で、君を待つ."白い息"が空に溶ける. ; [outro-long]',
    ),
    "korean": (KOREAN, "[verse] 오늘도 창가에 앉아. 너의 이름을 불러 본다. ; [chorus] 돌아와 줘."),
    "spanish": (
        "Verse\n¿Dónde está la luna?\n¡Ay, corazón!\nEstribillo suave",
        "[verse] Dónde está la luna. Ay, corazón. Estribillo suave.",
    ),
    "russian": (
        RUSSIAN,
        "[verse] Снег ложится на дома. Улица - сошла с ума. ; [chorus] Ещё не поздно. ; [outro-short]",
    ),
    "mixed": (
        MIXED,
        "[verse] 城市的灯慢慢亮. I keep on waiting. 我还在这里 ; [chorus] Oh 我的爱.こんばんは、東京.",
    ),
}


@pytest.mark.parametrize("name", ["en", "zh", "ja", "es", "inst", "silence"])
def test_strict_text_comes_back_character_for_character(name):
    assert parse(SAMPLES[name]).text == SAMPLES[name]


@pytest.mark.parametrize("name", TYPED)
def test_typed_lyrics_become_strict_text(name):
    typed, strict = TYPED[name]
    assert parse(typed).text == strict


ACCEPTED = [text for name, text in SAMPLES.items() if name not in ("plain", "empty", "bgm")]


@pytest.mark.parametrize("text", [*(typed for typed, _ in TYPED.values()), *ACCEPTED])
def test_parsing_the_strict_text_again_changes_nothing(text):
    once = parse(text)
    again = parse(once.text)
    assert again.text == once.text
    assert [(s.tag, s.phrases) for s in again.sections] == [(s.tag, s.phrases) for s in once.sections]


def test_tags_are_the_vocabulary_in_its_order():
    assert " ".join(TAGS) == (
        "verse chorus bridge intro-short intro-medium intro-long outro-short outro-medium outro-long "
        "inst-short inst-medium inst-long silence"
    )
    assert {"verse", "chorus", "bridge"} == SUNG


# One heading between bars, ¶ for the end of its line.
SUNG_HEADINGS = {
    "verse": "[Verse]¶|[Verse 1]¶|[VERSE #2]¶|[ verse ]: |[Verse II]¶|[verse] |Verse 1:¶|verse 12¶"
    "|Verse 1: |Verse Two¶|VERSE¶|ＶＥＲＳＥ　１：¶|主歌¶|主歌一¶|主歌A：|[主歌2]¶"
    "|\ufeff[\u200bverse\u200d]¶",
    "chorus": "(Chorus)¶|(Chorus) |（副歌）¶|**Chorus**¶|**Chorus:** |**[Chorus]**¶|__Chorus 2__¶|# Chorus¶"
    "|### [Chorus]¶|## **Chorus 1**¶|> Chorus¶|- Chorus:¶|【副歌】",
    "bridge": "Bridge:|桥段：¶|[Bridge B] ",
}
WORDLESS_HEADINGS = {
    "intro-short": "[Intro]|Intro:|INTRO|[intro short]|[Intro_Short]|前奏",
    "intro-medium": "Intro-Medium",
    "intro-long": "(intro long)",
    "inst-short": "[Inst]|[Instrumental]|Instrumental|【间奏】",
    "inst-medium": "[INST-MEDIUM 2]",
    "inst-long": "[Instrumental Long]",
    "outro-short": "[Outro]|尾奏：",
    "outro-medium": "**Outro medium**",
    "silence": "[Silence]|Silence:|(silence)",
}


def each(headings: dict[str, str]) -> list[tuple[str, str]]:
    return [(one.replace("¶", "\n"), tag) for tag, many in headings.items() for one in many.split("|")]


@pytest.mark.parametrize(("heading", "tag"), each(SUNG_HEADINGS))
def test_sung_heading_is_recognised_with_its_words(heading, tag):
    assert parse(f"{heading}hold the line").text == f"[{tag}] hold the line."


@pytest.mark.parametrize(("heading", "tag"), each(WORDLESS_HEADINGS))
def test_wordless_heading_is_recognised(heading, tag):
    assert parse(f"{heading}\n[verse] hold the line").text == f"[{tag}] ; [verse] hold the line."


WORD_LINES = """
Bridge over water
Chorus of angels
Verse by verse we fall
Intro to my heart
She said: stay
Silence
Solo
The end
End
(oh yeah)
(hold me) again
Break my heart
#1 in my heart
f**k the rain
副歌里的你哭了
5×5
"""


@pytest.mark.parametrize("line", WORD_LINES.strip().split("\n"))
def test_line_that_only_resembles_a_heading_is_words(line):
    section = parse(f"[verse]\n{line}\nlast").sections[0]
    assert section.phrases == (line, "last")


PHRASES = [
    ("one\ntwo", "one. two."),
    ("one\r\ntwo\rthree", "one. two. three."),
    ("one\n\n\n\ttwo", "one. two."),
    (
        "one,\ntwo;\nthree:\nfour!\nfive?\nsix -\nseven—\neight.",
        "one. two. three. four. five. six. seven. eight.",
    ),
    ("one; two；three", "one. two. three."),
    ("one ;; two ; ;", "one. two."),
    ("Wait... what…now. . . then", "Wait. what. now. then."),
    ("...and then", "and then."),
    ("Who? Me! No", "Who? Me! No."),
    ("End.Next one", "End. Next one."),
    ("at 3.5 a.m UK.No more .5", "at 3.5 a.m UK.No more .5."),
    ('灯火。" hello 他', '灯火. " hello 他'),
    ('He said "stop." and left', 'He said "stop". and left.'),
    ("(ooh...) baby", "(ooh). baby."),
    ("“Go。”", '"Go".'),
    ("…’cause I’m here", "'cause I'm here."),
    ("one\n---\n♪\n***\ntwo", "one. two."),
    ("- one\n* two\n• three", "one. two. three."),
    ("**one** two", "one two."),
    ("ＡＢＣ　１２３！", "ABC 123."),
    ("（哦）你好", "(哦)你好"),
    ("苹果、梨，桃：好；再见。", "苹果,梨,桃:好.再见"),
    ("苹果. 梨.", "苹果.梨"),
    ("苹果。rock", "苹果. rock."),
    ("我爱rock。你爱jazz", "我爱rock.你爱jazz"),
    ("我爱rock。yeah你", "我爱rock. yeah你"),
    ("안녕.그래", "안녕. 그래."),
    ("君と、\n空", "君と.空"),
    ("a\xa0\u3000b\u200bc\x00d", "a bcd."),
    ("cafe\u0301", "caf\u00e9."),
    ("**cafe**\u0301 noir", "caf\u00e9 noir."),
    ("(the U.S.),", "(the U.S)."),
    ("灯火”.”;", '灯火""'),
    ("Hello。World", "Hello. World."),
    ("one\u2028two", "one. two."),
]


@pytest.mark.parametrize(("words", "strict"), PHRASES)
def test_phrases_are_separated_and_cleaned(words, strict):
    assert parse(f"[verse]\n{words}").text == f"[verse] {strict}"


def test_sections_know_their_tag_phrases_and_line():
    lyrics = parse("\r\n[intro]\r\n\r\nVerse 1\r\nOne,\r\nTwo. Three\r\n[outro]")
    assert lyrics.sections == (
        Section("intro-short", (), 2),
        Section("verse", ("One", "Two", "Three"), 4),
        Section("outro-short", (), 7),
    )


def test_several_sections_fit_on_one_line():
    assert parse("[intro][verse]a;[chorus]b").text == "[intro-short] ; [verse] a. ; [chorus] b."


def test_repeated_separators_are_harmless():
    assert parse("; [verse] a. ; ; [chorus] b. ;;").text == "[verse] a. ; [chorus] b."


INST = "[inst-short], [inst-medium] or [inst-long]"
INTRO = INST.replace("inst", "intro")
OUTRO = INST.replace("inst", "outro")
ANY = ", ".join(f"[{tag}]" for tag in TAGS[:-1]) + " or [silence], or round brackets for words to sing"

UNKNOWN = {
    INST: "[solo]|[Guitar Solo]|[interlude]|[Break]|[Drop]|[inst-shorter]|Solo:|Interlude",
    INTRO: "[opening]|[长前奏]",
    OUTRO: "[end]|[outro-lnog]|[Fade Out]",
    "[intro-short]": "[introo]",
    "[verse]": "[pre-chorus]|[Pre Chorus 2]|[Verse 1: Ann]|[vers 2]|[预副歌]|Pre-Chorus",
    "[chorus]": "[Hook]|[Refrain]|[Final Chorus]|[choras]|Refrain|Hook 2",
    "[bridge]": "[Middle Eight]",
    "[silence]": "[pause]",
    ANY: "[yeah yeah]|[weekend]|[]|# Paper Boats",
}
DRESSED = [
    ("(Hook)", '"Hook"', "[chorus]"),
    ("**Refrain**", '"Refrain"', "[chorus]"),
    ("【独奏】", "[独奏]", INST),
]
REPEATS = "[Chorus x2]|[Chorus ×2]|[chorus * 2]|[2x Chorus]|[Repeat Chorus]|副歌×2|Chorus x2|Repeat chorus"
REPEATS += "|Hold on (x2)|Hold on 2x|啦啦啦*3|x2"
REPEATED = " asks for a repeat, which the model cannot read; write the words out as often as they are sung."
PLAYED = " is played without words; put the words under [verse], [chorus] or [bridge]."
NO_WORDS = " has no words; write them out, also where they repeat, or use [inst-short] for music alone."
BEGIN = " has no section; begin with a section such as [verse]."
OPENED = "the square bracket in"
CLOSE = " is never closed; write for example [verse]."
LYRICS_NONE = "There are no lyrics; write for example: [verse] Paper boats on a stream."
NOT_OPENED = "a ] has no [ before it; write for example [verse]."


def unknown(what: str, use: str) -> str:
    return f"{what} is not a section the model knows; use {use}."


def shown(heading: str) -> str:
    return heading if heading.startswith("[") else '"' + heading.rstrip(":") + '"'


REFUSED = [
    *((f"[verse] a\n\n{what}", 3, unknown(shown(what), use)) for what, use in each(UNKNOWN)),
    *((f"[verse]\noh {what}", 2, unknown(what, ANY)) for what in ("[yeah]", "[oh oh]")),
    *((text, 1, unknown(what, use)) for text, what, use in DRESSED),
    *((f"[verse] a\n{what}", 2, shown(what) + REPEATED) for what in REPEATS.split("|")),
    ("[Chorus] x2", 1, f'"x2"{REPEATED}'),
    ("[intro-short] la la", 1, f"[intro-short]{PLAYED}"),
    ("[inst]\n\nla la", 3, f"[inst-short]{PLAYED}"),
    ("Outro: la la", 1, f"[outro-short]{PLAYED}"),
    ("[silence]\nhush", 2, f"[silence]{PLAYED}"),
    ("[intro]\n[verse]\n[chorus] a", 2, f"[verse]{NO_WORDS}"),
    ("[verse] a\n[chorus]\n...\n♪", 2, f"[chorus]{NO_WORDS}"),
    ("bridge", 1, f"[bridge]{NO_WORDS}"),
    ("\nGood morning.\n[verse] a", 2, f'"Good morning"{BEGIN}'),
    ("Title: " + "la " * 30, 1, f'"Title: la la la la la la la la la la ..."{BEGIN}'),
    ("[verse] a\n[chorus", 2, f'{OPENED} "[chorus"{CLOSE}'),
    ("[[verse] a", 1, f'{OPENED} "["{CLOSE}'),
    ("[verse\n] a", 1, f'{OPENED} "[verse"{CLOSE}'),
    *((text, 1, NOT_OPENED) for text in ("verse] a", "[verse] a ] b")),
    *((text, 0, LYRICS_NONE) for text in ("", " \n;\n . \ufeff")),
]


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED)
def test_refusal_names_the_line_and_the_reason_in_one_sentence(text, line, reason):
    with pytest.raises(LyricsError) as refusal:
        parse(text)
    assert refusal.value.line == line
    assert refusal.value.reason == reason
    assert str(refusal.value) == (f"Lyrics line {line}: {reason}" if line else reason)


def test_error_survives_pickling_between_processes():
    error = pickle.loads(pickle.dumps(LyricsError(3, "why.")))
    assert (error.line, error.reason, str(error)) == (3, "why.", "Lyrics line 3: why.")


def test_half_width_keeps_the_ideographic_comma_and_the_line_ends():
    assert half_width("ａ，b、c。\r\n——“d”") == 'a,b、c.\n-"d"'


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("[intro-short]", 5),
        ("[inst-medium]", 15),
        ("[outro-long]", 25),
        ("[silence]", 3),
        ("[intro-short] ; [inst-medium] ; [silence]", 23),
        ("[verse] go", 2),
        ("[verse] banana banana banana", 9 * 0.33 + 0.6),
        ("[verse] canción canción canción", 6 * 0.33 + 0.6),
        ("[verse] молоко молоко молоко", 9 * 0.33 + 0.6),
        ("[verse] hmm hmm hmm hmm hmm hmm", 6 * 0.33 + 0.6),
        ("[verse] 灯火落在旧巷口", 7 * 0.35 + 0.6),
        ("[verse] きょうはいいてんき", 8 * 0.35 + 0.6),
        ("[verse] 오늘도 창가에 앉아", 8 * 0.35 + 0.6),
        ("[verse] go. go. go", 6),
    ],
)
def test_length_estimate_counts_syllables_and_pauses(text, seconds):
    assert parse(text).seconds == pytest.approx(seconds)
