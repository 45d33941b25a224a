"""What LeVo Compose and LeVo Song say on their nodes while they compose, and at the end."""

from __future__ import annotations

import re

from support import comfy_lists, songs
from support.comfy_server import ComfyServer, Message
from support.node_texts import texts_of

LONG = {"seed": 2, "max_seconds": 24}  # a song that does not end before its limit
GOING = re.compile(
    r"0:24 - now the end of vocals and accompaniment - at most \d+:\d\d left|"
    r"about \[[a-z-]+\], section \d of 2 - 0:\d\d of at most 0:24 - [\d.e+]+x real time - "
    r"(about|at most) \d+:\d\d left"
)
CUT = re.compile(r"cut at the limit, not ended, at 0:24 - composed in \d+:\d\d, tiny model: noise")


def composing(server: ComfyServer, **changes: dict) -> list[str]:
    """The lines of LeVo Compose in a prompt that ends with it."""
    server.clear_cache()
    return texts_of(server, songs.song_prompt(**changes), songs.COMPOSE)


def test_a_node_tells_where_it_is_about_once_a_second_and_how_it_ended(server: ComfyServer):
    *going, end = composing(server, compose=LONG, render={"steps": 1})
    assert going
    assert [line for line in going if not GOING.fullmatch(line)] == []
    assert CUT.fullmatch(end)


def test_what_does_not_fit_stays_to_the_end_and_is_no_html(server: ComfyServer):
    lyrics = {"text": "[verse]\n" + "<img src=x> la la la\n" * 200}
    *_, end = composing(server, lyrics=lyrics, compose={"max_seconds": 1}, render={"steps": 1})
    note, ending = end.split("\n")
    assert note.startswith("Too long for this checkpoint: the lyrics lost their end")
    assert "&lt;img src=x&gt;" in note and "<" not in note
    assert " at 0:0" in ending


def test_a_node_that_renders_as_well_tells_the_same(server: ComfyServer):
    server.clear_cache()
    prompt = songs.in_one(songs.song_prompt(compose=LONG, render={"steps": 1}))
    *going, end = texts_of(server, prompt, songs.COMPOSE)
    assert going
    assert [line for line in going if not GOING.fullmatch(line)] == []
    assert CUT.fullmatch(end)


def said(outputs: dict) -> dict[str, list[str]]:
    """What the history keeps of what nodes said, by the ids of nodes."""
    return {node: output["levo_said"] for node, output in outputs.items() if output.get("levo_said")}


def test_what_a_node_said_last_is_in_the_history_as_it_was_written(server: ComfyServer):
    lyrics = {"text": "[verse]\n" + "<img src=x> &amp; la\n" * 200}
    prompt = songs.song_prompt(lyrics=lyrics, compose={"max_seconds": 1}, render={"steps": 1})
    server.clear_cache()
    (text,) = said(server.run(prompt).outputs)[songs.COMPOSE]
    note, ending = text.split("\n")
    assert note.startswith("Too long for this checkpoint") and "<img src=x>" in note
    assert CUT.fullmatch(ending) or " at 0:0" in ending


def test_a_list_keeps_the_words_of_each_song_and_silent_nodes_put_nothing_out(server: ComfyServer):
    path = comfy_lists.list_path(server, "said")
    lyrics = {"one": "[verse] la la", "two": "[verse] " + "la la la " * 400}
    comfy_lists.write(path, [{"idx": name, "gt_lyric": text} for name, text in lyrics.items()])
    outputs = comfy_lists.run(server, path).outputs
    words = said(outputs)
    assert words["list"][0].startswith("2 of 2 songs to make.")
    short, long = words["compose"]
    assert "Too long" in long and "Too long" not in short
    assert [
        name for name, output in outputs.items() if set(output) == {"levo_said"} and not words.get(name)
    ] == []


def test_a_page_that_comes_later_is_told_what_was_said_and_of_which_graph(server: ComfyServer):
    answers = []

    def ask(message: Message) -> None:
        if message.type == "progress" and message.data["node"] == songs.RENDER and not answers:
            answers.append(server.post("/levo/said", {}))

    server.clear_cache()
    prompt = songs.song_prompt(compose={"max_seconds": 2})
    run = server.run(prompt, on_message=ask)
    (during,) = answers
    assert during["running"] and during["run"] == run.prompt_id
    assert during["nodes"] == {id: node["class_type"] for id, node in prompt.items()}
    assert "composed in" in during["said"][songs.COMPOSE]
    after = server.post("/levo/said", {})
    assert not after["running"] and after["run"] == run.prompt_id
    assert after["said"][songs.COMPOSE] == said(run.outputs)[songs.COMPOSE][0]
    assert after["error"] is None


def test_what_is_cancelled_is_no_longer_said_to_be_under_way(server: ComfyServer):
    def cancel(message: Message) -> None:
        if message.type == "progress" and message.data["node"] == songs.COMPOSE:
            server.interrupt()

    server.clear_cache()
    run = server.run(songs.song_prompt(compose=LONG), on_message=cancel)
    assert run.status == "interrupted"
    assert songs.COMPOSE not in server.post("/levo/said", {})["said"]
