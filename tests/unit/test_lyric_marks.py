"""What stands among words and is not sung, or came with them: undone, told, healed or kept."""

from __future__ import annotations

import json
import time

import pytest

from levo.text import editing
from levo.text.lyrics import LyricsError, half_width, parse


def each(listed: str) -> list[str]:
    return listed.split("|")


def sung(line: str) -> tuple[str, ...]:
    """The phrases of a line that is taken as it is."""
    return parse(f"[verse]\n{line}").sections[0].phrases


def told(line: str) -> str:
    """The sentence about a line in the middle of a verse, without its number."""
    with pytest.raises(LyricsError) as refusal:
        parse(f"[verse]\noh no\n{line}\nend of it")
    assert refusal.value.line == 3
    assert len(str(refusal.value).splitlines()) == 1
    return refusal.value.reason


def healed(line: str) -> list[str]:
    """What Tidy makes of that line."""
    tidy = editing.report(f"[verse]\noh no\n{line}\nend of it").tidy
    again = editing.report(tidy)
    assert again.problem is None
    assert again.tidy == tidy
    return tidy.split("\n")[2:-1]


# Escapes -------------------------------------------------------------------------------------------------

ESCAPED = [
    (r"Lamps\nBoats", ("Lamps", "Boats")),
    (r"Lamps\r\nBoats\n", ("Lamps", "Boats")),
    (r"Lamps\\nBoats", ("Lamps", "Boats")),
    (r"Lamps\tin\trows", ("Lamps in rows",)),
    (r"Don\'t say \"stay\"", ('Don\'t say "stay"',)),
    (r"Don\u2019t go \u00e9", ("Don't go é",)),
    (r"\ud83d\ude00 Smile", ("😀 Smile",)),
    (r"caf\xe9 noir", ("café noir",)),
    (r"and\/or", ("and/or",)),
    (r"so many \*stars\* and \_lines\_", ("so many *stars* and _lines_",)),
    ("Won&#39;t you", ("Won't you",)),
    ("Won&#x27;t you", ("Won't you",)),
    ("Won&apos;t &quot;you&quot;", ('Won\'t "you"',)),
    ("salt &amp; pepper", ("salt & pepper",)),
    ("salt &amp;amp; pepper &amp;#38; more", ("salt & pepper & more",)),
    ("I &lt;3 you", ("I <3 you",)),
    ("a&nbsp;b&hellip;c", ("a b", "c")),
    ("Lamps<br>Boats<BR />Tide", ("Lamps", "Boats", "Tide")),
    ("<p>Lamps</p><p class='x'>Boats</p>", ("Lamps", "Boats")),
    ("<i>Lamps</i> <span style='a'>burn</span>", ("Lamps burn",)),
    ("&lt;br&gt;Lamps&lt;br/&gt;Boats", ("Lamps", "Boats")),
    ("＆ａｍｐ； so", ("& so",)),
    (r"it'\''s late", ("it's late",)),
    ("""it'"'"'s late""", ("it's late",)),
    ("so late \\", ("so late",)),
    (r"C:\Users", (r"C:\Users",)),
    (r"I <3 you & me; <so> it goes", ("I <3 you & me", "<so> it goes")),
]


@pytest.mark.parametrize(("line", "phrases"), ESCAPED)
def test_escapes_are_undone(line: str, phrases: tuple[str, ...]):
    assert sung(line) == phrases
    assert parse(parse(f"[verse] {line}").text).sections[0].phrases == phrases


@pytest.mark.parametrize(
    "text",
    [
        json.dumps('[verse]\nIt\'s "late"\n\n[chorus]\nHome'),
        json.dumps(json.dumps('[verse]\nIt\'s "late"\n[chorus]\nHome')),
        r"""$'[verse]\nIt\'s "late"\n[chorus]\nHome'""",
        "[verse]\\nIt&#39;s &quot;late&quot;<br>[chorus]\\nHome",
    ],
)
def test_a_whole_song_that_was_escaped_is_read(text: str):
    assert parse(text).text == '[verse] It\'s "late". ; [chorus] Home.'


def test_lines_are_those_of_the_text_that_was_given():
    song = parse("\n[verse]\\nLamps\\n\\nBoats\n[chorus] Home")
    assert [(section.line, len(section.phrases)) for section in song.sections] == [(2, 2), (3, 1)]


def test_escapes_without_end_are_told():
    deep = "<"
    for _ in range(6):
        deep = "".join(f"&#{ord(character)};" for character in deep)[:5000]
    assert "holds escapes within escapes" in told(f"a {deep}")


@pytest.mark.parametrize("half", ["\ud83d", "\udc00", r"\ud83d", "\udc00\ud83d"])
def test_half_a_character_is_told_and_two_halves_are_one(half: str):
    assert told(f"la {half} la").startswith("half a character (U+D")
    assert sung("la \ud83d\ude00") == ("la 😀",)


def test_tidy_takes_half_a_character_off():
    assert healed("la \ud83d la") == ["la la"]


# Stops ---------------------------------------------------------------------------------------------------

STOPS = [
    ("दिल की बात सुनो। रात ढल गई॥", ("दिल की बात सुनो", "रात ढल गई")),
    ("राम।श्याम", ("राम", "श्याम")),
    ("میں ہوں۔ تم ہو۔", ("میں ہوں", "تم ہو")),
    ("سلام، دنیا؛ نعم؟", ("سلام, دنیا", "نعم")),
    ("Բարև։ Օր։", ("Բարև", "Օր")),
    ("ሰላም፣ ዓለም። ቀን።", ("ሰላም, ዓለም", "ቀን")),
    ("សួស្តី។ បាទ៕", ("សួស្តី", "បាទ")),
    ("ဟုတ်၊ကဲ့။ ပြီး။", ("ဟုတ်,ကဲ့", "ပြီး")),
    ("བཀྲ་ཤིས། བདེ།", ("བཀྲ་ཤིས", "བདེ")),
    ("שלום׃ עולם", ("שלום", "עולם")),
    ("Πού είσαι; Εδώ", ("Πού είσαι", "Εδώ")),
    ("灯火︒海风﹒旧", ("灯火", "海风", "旧")),
    ("¿Dónde estás, mi amor?", ("Dónde estás, mi amor",)),
    ("¡Vamos ya!", ("Vamos ya",)),
    ("Ay, ¿dónde estás?", ("Ay, dónde estás",)),
    ("¿Quién? Yo", ("¿Quién? Yo",)),
    ("¡Ay! ¡Vamos!", ("¡Ay! Vamos",)),
]


@pytest.mark.parametrize(("line", "phrases"), STOPS)
def test_stops_of_other_scripts_are_stops(line: str, phrases: tuple[str, ...]):
    assert sung(line) == phrases
    assert sung(parse(f"[verse]\n{line}").text.removeprefix("[verse] ")) == phrases


# Repeats -------------------------------------------------------------------------------------------------

REPEATS = {
    "la la": "la la x2|la la (x2)|(x2) la la|2x la la|la la 2x|la la ×2|la la х2|la la (Х2)"
    "|la la (bis)|(bis) la la"
    "|la la (twice)|la la (repeat)|la la (2 times)|la la (two times)|la la, X2|la la (2X)|la la x 2"
    "|2 x la la|la la *2"
    "|la la (2 раза)|la la (2 veces)|la la (deux fois)|la la (zweimal)|la la (2回)|la la (2번)"
    "|la la ｘ２|la la!! x2",
    "啦啦": "啦啦x2|啦啦（重复两次）|啦啦（两遍）|啦啦×2|（x2）啦啦|啦啦 2x|啦啦（反复）",
}


@pytest.mark.parametrize(
    ("words", "line"), [(words, line) for words, lines in REPEATS.items() for line in each(lines)]
)
def test_repeats_are_told_wherever_they_stand_and_written_out(words: str, line: str):
    assert "asks for a repeat, which the model cannot read" in told(line)
    assert healed(line) == [words, words]


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("Na na (x3), hey", ["Na na"] * 3 + ["hey"]),
        ("la x3 oh yeah", ["la"] * 3 + ["oh yeah"]),
        ("la, x2, hey x3", ["la"] * 2 + ["hey"] * 3),
        ("oh (la la x2) hey", ["oh (la la)"] * 2 + ["hey"]),
        ("Bis", ["oh no"]),
        ("(x3)", ["oh no"] * 2),
    ],
)
def test_words_beside_a_repeat_stay(line: str, lines: list[str]):
    assert "asks for a repeat" in told(line)
    assert healed(line) == lines


@pytest.mark.parametrize("line", ["I love you 10x more", "|: la la :|"])
def test_tidy_leaves_alone_what_may_be_words(line: str):
    assert "asks for a repeat" in told(line)
    assert editing.report(f"[verse]\n{line}").tidy is None


KEPT = (
    "BMW X5|I pulled up in a BMW X5|The X5, the M3|size 3X|Size 3X, please|la la X2|5×5|5 × 5 is 25"
    "|2x4 lumber|24x7|4x4"
    "|Malcolm X|Generation X 2|X marks the spot|iPhone 12|Xx2|three times|twice|again|(again)"
    "|Warte, bis|10 times I called"
    "|Ten x ten|Mix 2 and 3|fix 3 of them|max 2|Route 66 (yeah)|x"
)


@pytest.mark.parametrize("line", each(KEPT))
def test_words_that_resemble_a_repeat_are_kept(line: str):
    assert sung(line) == (line,)
    assert editing.report(f"[verse]\n{line}").tidy == f"[verse]\n{line}"


def test_a_repeat_at_the_head_of_a_section_is_for_all_of_it():
    tidy = editing.report("[verse]\nDark\n[chorus] x2\nHome\nAgain, home").tidy
    assert tidy == "[verse]\nDark\n\n[chorus]\nHome\nAgain, home\nHome\nAgain, home"
    assert editing.report("[chorus]\nHome\n[verse]\nDark\n[chorus]\nx2").tidy.endswith(
        "[chorus]\nHome\nHome"
    )
    assert editing.report("[verse]\nx3").tidy is None
    assert editing.report("[verse]\nDark\n[bridge]\n(bis)\n[chorus]\nHome").tidy is None


# Times and voices ----------------------------------------------------------------------------------------

TIMES = (
    "[00:10.00]la|[00:10] la|[1:02:03.4] la|00:10.00 la|0:15 la|<00:10.00>la|(0:15) la"
    "|00:00:10,000 --> 00:00:13,200|"
    "[ti:Harbour]|[ar: A Band]|[offset:+500]|[by:me]|[00:01.00][00:02.00]la|【00:10】la"
)


@pytest.mark.parametrize("line", each(TIMES))
def test_times_are_told_and_tidy_takes_them_off(line: str):
    assert "is a time stamp" in told(line) or "is a note on the file" in told(line)
    assert healed(line) in (["la"], [])


@pytest.mark.parametrize(
    "line", each("at 3:15 we met|5:15 the angels have gone|chapter 3:16|[verse] 10:00 sharp")
)
def test_times_that_are_words_are_kept(line: str):
    assert parse(f"[verse]\nla\n{line}").sections[-1].phrases[-1].endswith(line.removeprefix("[verse] "))


def test_subtitles_are_healed():
    subtitles = "1\n00:00:10,000 --> 00:00:13,200\nLamps\n\n2\n00:00:14,000 --> 00:00:16,000\nBoats\n"
    assert editing.report(subtitles).tidy == "[verse]\nLamps\nBoats"


VOICES = (
    "Male: la|FEMALE: la|Both: la|All: la|Male & Female: la|Male 1: la|Singer 2: la|Lead vocals: la"
    "|(Male) la|(Female:) la"
    "|[Male] la|[Female Vocal] la|[Both]la|男：la|女声：la|（男）la|合：la|【女】la|Hombre: la"
    "|Mujer: la|Juntos: la|Homem: la"
    "|Femme : la|Ensemble: la|Mann: la|Beide: la|Uomo: la|Tutti: la|Женщина: la|Вместе: la|男性：la"
    "|全員：la|남: la|여자: la|합창: la"
)


@pytest.mark.parametrize("line", each(VOICES))
def test_who_sings_is_told_and_tidy_takes_it_off(line: str):
    assert "says who sings" in told(line)
    assert healed(line) == ["la"]


@pytest.mark.parametrize("line", each("Male:|Both:|**Female:**|[All]|男：|(Male)"))
def test_who_sings_on_a_line_of_its_own_goes(line: str):
    assert "says who sings" in told(line)
    assert healed(line) == []


@pytest.mark.parametrize(
    "line", each("She said: stay|(all) la|(boys, boys, boys)|All we are|男孩在海边|Both of us: one")
)
def test_words_that_resemble_a_voice_are_kept(line: str):
    assert sung(line) == (line,)


def test_voices_in_turn_begin_phrases():
    assert healed("（男）海风吹（女）旧码头") == ["海风吹", "旧码头"]


# Letters set apart and music in a row --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "joined"),
    [
        ("海 风 吹", "海风吹"),
        ("旧 码 头 上 ， 灯 火 来", "旧码头上,灯火来"),
        ("海　风　吹", "海风吹"),
        ("う み か ぜ", "うみかぜ"),
        ("oh 海 风 吹 oh", "oh 海风吹 oh"),
    ],
)
def test_letters_set_apart_are_told_and_joined(line: str, joined: str):
    assert "is spaced letter by letter" in told(line)
    assert healed(line) == [joined]


@pytest.mark.parametrize("line", each("走 走|海风 吹 了|나 너 그 사람|海风 旧码头 灯火|I am a b c"))
def test_words_set_apart_are_kept(line: str):
    assert sung(line) == (line,)


@pytest.mark.parametrize(
    ("text", "line", "told_once", "tidy"),
    [
        (
            "[intro] [intro] [intro] [intro] [intro] , [verse] a",
            1,
            "[intro] stands 5 times in a row",
            "intro-long",
        ),
        ("[verse] a\n[inst]\n[inst]", 2, "[inst] stands 2 times in a row", "inst-medium"),
        ("[verse] a\nOutro\nOutro\nOutro", 2, "[outro] stands 3 times in a row", "outro-medium"),
        ("[intro-long] ; [intro] ; [verse] a", 1, "[intro] stands 2 times in a row", "intro-long"),
    ],
)
def test_music_in_a_row_is_told_once_with_its_seconds(text: str, line: int, told_once: str, tidy: str):
    found = editing.report(text)
    assert found.problem.line == line
    assert found.problem.reason.startswith(told_once)
    seconds = {5: "25 s", 2: "10 s", 3: "15 s"}[int(told_once.split()[2])]
    assert f"which makes about {'30 s' if 'long' in text else seconds} of music" in found.problem.reason
    assert f"[{tidy}]" in found.tidy and editing.report(found.tidy).problem is None


def test_music_in_a_row_with_its_lengths_is_meant():
    assert parse("[inst-long] ; [inst-long] ; [verse] a.").text == "[inst-long] ; [inst-long] ; [verse] a."


# Time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accents", ["\u0301\u0327", "\u0344\u0323", "\u0301\u0315\u0327", "e\u0301\u0327"])
def test_any_number_of_accents_takes_linear_time(accents: str):
    text = "[verse] a" + accents * (64_000 // len(accents))
    begun = time.process_time()
    assert half_width(text)
    try:
        again = parse(text)
        assert parse(again.text).text == again.text
    except LyricsError as error:
        assert len(str(error)) < 400
    assert time.process_time() - begun < 2.5  # it was four seconds and more


COSTLY = {
    "one chorus of 500 phrases and 500 empty ones": "[chorus]\n" + "la\n" * 500 + "[chorus]\n" * 500,
    "many repeats": "[chorus] la x8\n" * 1_300,
    "many repeats of a long section": "[verse]\n" + "la x8\n" * 125 + "[verse]\n" * 199,
    "empty choruses": "[chorus]\n" * 2_200,
    "marks in one line": "[verse] " + "la x8 " * 3_000,
    "brackets in one line": "[verse] " + "[solo] la " * 1_900,
    "stamps in one line": "[verse] " + "[00:10.00] la " * 1_400,
    "voices in one line": "[verse] " + "(男)啊" * 4_900,
    "accents": "[verse] a" + "\u0301\u0327" * 9_900,
    "the longest": "la la\n" * 3_333,
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_the_panel_answers_at_once_and_its_answer_is_bounded(text: str):
    assert len(text) <= editing.MAX_CHARACTERS
    begun = time.process_time()
    found = editing.report(text)
    assert time.process_time() - begun < 3
    assert len(found.tidy or "") < 2 * editing.MAX_CHARACTERS
    assert len(found.problem.reason if found.problem else "") < 500


@pytest.mark.parametrize("text", ["[chorus] la x8\n" * 16_000, "[chorus]\n" * 20_000, "la" * 10_001])
def test_more_than_a_song_is_said_to_be(text: str):
    begun = time.process_time()
    found = editing.report(text)
    assert time.process_time() - begun < 1
    assert found.tidy is None and found.sections == ()
    assert found.problem.line == 0
    assert "at most 20,000" in found.problem.reason and f"{len(text):,} characters" in found.problem.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[chorus]\nla\n" + "[chorus]\n" * 300, "at most 200 sections"),
        ("[verse]\n" + "la x8\n" * 200, "at most 1,000 phrases"),
    ],
)
def test_more_than_tidy_heals_is_said(text: str, said: str):
    found = editing.report(text)
    assert found.tidy is None
    assert said in found.problem.reason


def test_a_megabyte_still_composes():
    text = "[verse]\n" + "and all the boats go out again, don't they\n" * 23_000
    assert len(text) > 950_000
    begun = time.process_time()
    assert len(parse(text).sections[0].phrases) == 23_000
    assert time.process_time() - begun < 15
