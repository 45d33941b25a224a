"""Songs from prompts in a real ComfyUI: sound, seeds, tracks, latents, progress and errors."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest
from support import pack, songs
from support.comfy_server import ComfyServer, PromptRejected, Run
from support.sentences import assert_one_sentence
from support.workflow import to_prompt

from levo.text.lyrics import LyricsError, parse

EXAMPLE = pack.ROOT / "example_workflows" / "LeVo Text to Song.json"
FRAME = 1_920  # samples
SHORT = {"max_seconds": 2}
ENDS_EARLY = {"seed": 10, "max_seconds": 0}
UPDATE_SECONDS = 0.1
BAD_LYRICS = {
    "unknown tag": "[pre-chorus]\nla la la",
    "words where none are sung": "[intro-short]\nla la la",
    "sung section without words": "[verse]\n[outro-short]",
    "nothing": "",
    "half an emoji": "[verse]\nla \ude00 la",
}


@pytest.fixture(scope="module")
def made(server: ComfyServer) -> tuple[songs.Song, Run]:
    """The prompt as it is, with nothing cached."""
    server.clear_cache()
    return songs.make(server)


@pytest.fixture(scope="module")
def song(made: tuple[songs.Song, Run]) -> songs.Song:
    return made[0]


@pytest.fixture(scope="module")
def run(made: tuple[songs.Song, Run]) -> Run:
    return made[1]


def executed(run: Run) -> set[str]:
    return {message.data["node"] for message in run.of_type("executing")} - {None}


# ------------------------------------------------------------------ sound


def test_a_prompt_becomes_a_stereo_flac_as_long_as_compose_says(song: songs.Song):
    assert (song.format, song.rate) == ("FLAC", songs.SAMPLE_RATE)
    assert song.sound.shape == (12 * songs.SAMPLE_RATE, 2)
    assert (song.ended, song.seconds) == (False, 12.0)


def test_the_sound_is_neither_silent_nor_clipped_and_goes_on_to_the_end(song: songs.Song):
    assert np.abs(song.sound).max() < 1
    loudness = np.sqrt((song.sound.reshape(12, -1, 2) ** 2).mean(axis=1))  # of every second
    assert (loudness > 1e-3).all()
    assert not np.array_equal(song.sound[:, 0], song.sound[:, 1])


def test_a_song_that_ends_by_itself_is_shorter_than_its_limit(server: ComfyServer):
    song, _ = songs.make(server, compose=ENDS_EARLY)
    assert song.ended
    assert 0 < song.seconds < 48
    assert len(song.sound) == round(song.seconds * songs.SAMPLE_RATE)


def test_the_example_workflow_makes_a_song(server: ComfyServer, object_info: dict[str, Any]):
    prompt = to_prompt(json.loads(EXAMPLE.read_text("utf-8")), object_info)
    nodes = {entry["class_type"]: node for node, entry in prompt.items()}
    prompt["seconds"] = {"class_type": "PreviewAny", "inputs": {"source": [nodes["LeVoCompose"], 2]}}
    run = server.run(prompt)
    assert run.status == "success", run.error
    sound, rate, container = songs.sound_of(server, run, nodes["LeVoExport"])
    limit = prompt[nodes["LeVoCompose"]]["inputs"]["max_seconds"] or 60
    assert (container, rate, sound.shape[1]) == ("FLAC", songs.SAMPLE_RATE, 2)
    assert len(sound) == round(float(run.outputs["seconds"]["text"][0]) * rate)
    assert len(sound) % FRAME == 0
    assert 0 < len(sound) <= limit * rate
    assert 0 < np.abs(sound).max() < 1


# ------------------------------------------------------------------ seeds and tracks


def test_the_same_seeds_make_the_same_samples_with_nothing_cached(server: ComfyServer, song: songs.Song):
    server.clear_cache()
    again, run = songs.make(server)
    assert not run.cached
    assert np.array_equal(again.sound, song.sound)


def test_another_compose_seed_makes_another_song(server: ComfyServer, song: songs.Song):
    other, run = songs.make(server, compose={"seed": 2})
    assert songs.COMPOSE in executed(run)
    length = min(len(other.sound), len(song.sound))
    assert not np.array_equal(other.sound[:length], song.sound[:length])


def test_takes_are_songs_of_the_next_seeds_each_as_long_as_it_is(server: ComfyServer):
    # Short ones: with each draw grows the chance that rounding, which a batch changes, turns one.
    changes = {"seed": 9, "max_seconds": 12, "top_k": 250}
    seeds = [changes["seed"] + take for take in range(3)]
    run = server.run(songs.song_prompt(compose={**changes, "takes": 3}, loadlelm=songs.EXACT))
    assert run.status == "success", run.error
    takes = [songs.sound_of_entry(server, entry)[0] for entry in run.outputs[songs.SAVE]["audio"]]
    alone = [songs.make(server, compose={**changes, "seed": s}, loadlelm=songs.EXACT)[0] for s in seeds]
    assert len({len(song.sound) for song in alone}) > 1
    for take, song in zip(takes, alone, strict=True):
        np.testing.assert_allclose(take, song.sound, atol=2e-3)
    assert float(run.outputs[songs.SECONDS]["text"][0]) == max(song.seconds for song in alone)
    assert run.outputs[songs.ENDED]["text"][0] == str(all(song.ended for song in alone))


def test_another_render_seed_makes_another_sound_of_the_same_tokens(server: ComfyServer, song: songs.Song):
    songs.make(server)  # so that its tokens are cached
    other, run = songs.make(server, render={"seed": 2})
    assert songs.COMPOSE in run.cached
    assert songs.RENDER in executed(run)
    assert other.sound.shape == song.sound.shape
    assert not np.array_equal(other.sound, song.sound)


def test_tracks_alone_are_as_long_as_the_mix_and_unlike_it(server: ComfyServer):
    sounds = [
        songs.make(server, compose=SHORT, render={"track": track})[0].sound
        for track in ("mix", "vocals", "accompaniment")
    ]
    assert {sound.shape for sound in sounds} == {(2 * songs.SAMPLE_RATE, 2)}
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(sounds[a], sounds[b])


def test_an_instrumental_needs_no_lyrics_and_no_description(server: ComfyServer):
    prompt = songs.song_prompt(compose=SHORT, render={"track": "accompaniment"})
    prompt[songs.CONDITIONING]["inputs"] = {"kind": "instrumental"}
    del prompt[songs.LYRICS], prompt[songs.DESCRIPTION]
    run = server.run(prompt)
    assert run.status == "success", run.error
    song = songs.song_of(server, run)
    assert len(song.sound) == round(song.seconds * songs.SAMPLE_RATE) > 0


# ------------------------------------------------------------------ latents


def test_latents_saved_and_loaded_decode_to_the_same_song(server: ComfyServer):
    prompt = songs.song_prompt(compose={"max_seconds": 8})
    prompt["save"] = {
        "class_type": "SaveLatent",
        "inputs": {"samples": [songs.RENDER, 0], "filename_prefix": "latents/levo"},
    }
    run = server.run(prompt)
    assert run.status == "success", run.error
    song = songs.song_of(server, run)
    saved = server.output_file(run.outputs["save"]["latents"][0])
    shutil.copy(saved, server.base / "input" / "song.latent")

    prompt = {node: entry for node, entry in prompt.items() if node in ("3", songs.DECODE, songs.SAVE)}
    prompt["load"] = {"class_type": "LoadLatent", "inputs": {"latent": "song.latent"}}
    prompt[songs.DECODE]["inputs"]["latent"] = ["load", 0]
    run = server.run(prompt)
    assert run.status == "success", run.error
    sound, rate, _ = songs.sound_of(server, run)
    assert (sound.shape, rate) == (song.sound.shape, song.rate)
    # The file does not hold the frames after the end, which only the last chunks hear.
    heard_alike = 64 * FRAME
    assert np.array_equal(sound[:heard_alike], song.sound[:heard_alike])


# ------------------------------------------------------------------ progress


@pytest.mark.parametrize("node", [songs.COMPOSE, songs.RENDER, songs.DECODE])
def test_progress_rises_to_the_end_at_about_ten_updates_a_second(run: Run, node: str):
    updates = [message for message in run.of_type("progress") if message.data["node"] == node]
    values = [message.data["value"] for message in updates]
    (total,) = {message.data["max"] for message in updates}
    assert values == sorted(values)
    assert 0 < values[0] <= values[-1] == total
    spent = updates[-1].seconds - updates[0].seconds
    assert len(updates) <= spent / UPDATE_SECONDS + 3  # the first, the last, and one for jitter


def test_compose_shows_progress_from_its_first_step(run: Run):
    updates = [message for message in run.of_type("progress") if message.data["node"] == songs.COMPOSE]
    assert updates[0].data["value"] == 1
    assert updates[0].data["max"] == 12 * 25 + 250


# ------------------------------------------------------------------ errors


def lyrics_sentence(text: str) -> str:
    with pytest.raises(LyricsError) as refusal:
        parse(text)
    return str(refusal.value)


def assert_next_prompt_works(server: ComfyServer) -> None:
    song, _ = songs.make(server, compose=SHORT)
    assert len(song.sound) == 2 * songs.SAMPLE_RATE


@pytest.mark.parametrize("text", BAD_LYRICS.values(), ids=BAD_LYRICS.keys())
def test_bad_lyrics_are_refused_before_anything_runs(server: ComfyServer, text: str):
    with pytest.raises(PromptRejected) as refusal:
        server.run(songs.song_prompt(lyrics={"text": text}))
    assert refusal.value.status == 400
    assert set(refusal.value.node_errors) == {songs.LYRICS}
    (reason,) = refusal.value.node_errors[songs.LYRICS]["errors"]
    assert reason["extra_info"]["input_name"] == "text"
    assert reason["details"].count(lyrics_sentence(text)) == 1
    assert_one_sentence(reason["details"])
    assert_next_prompt_works(server)


def test_bad_lyrics_from_another_node_stop_the_run_with_the_same_sentence(server: ComfyServer):
    prompt = songs.song_prompt(lyrics={"text": ["words", 0]})
    text = BAD_LYRICS["unknown tag"]
    prompt["words"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": text}}
    run = server.run(prompt)
    assert run.status == "error"
    assert run.error["exception_message"].strip() == lyrics_sentence(text)
    assert run.error["exception_type"].endswith("LyricsError")


FAULTS = {
    "sentence as description": (
        {"description": {"tags": "please write me a very happy song about summer"}},
        (songs.DESCRIPTION, "StyleError"),
        "reads like a sentence",
    ),
    "half an emoji in a tag": (
        {"description": {"genre": "folk \ud83d"}},
        (songs.DESCRIPTION, "StyleError"),
        "Description field 'genre' has half a character (U+D83D",
    ),
    "limit beyond the checkpoint's": (
        {"compose": {"max_seconds": 100}},
        (songs.COMPOSE, "ValueError"),
        "LeVo Compose cannot go to 100 s",
    ),
    "song without lyrics": (
        {"conditioning": {"lyrics": None}},
        (songs.CONDITIONING, "ValueError"),
        "LeVo Conditioning has no lyrics",
    ),
    "latents of an image": (
        {"decode": {"latent": ["image", 0]}},
        (songs.DECODE, "ValueError"),
        "LeVo Decode was given latents of shape",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_stops_the_run_with_one_sentence_and_the_next_prompt_works(
    server: ComfyServer, fault: tuple[dict[str, Any], tuple[str, str], str]
):
    changes, (node, kind), sentence = fault
    prompt = songs.song_prompt(**{"compose": SHORT} | changes)
    for entry in prompt.values():
        entry["inputs"] = {name: value for name, value in entry["inputs"].items() if value is not None}
    prompt["image"] = {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1},
    }
    run = server.run(prompt)
    assert run.status == "error"
    assert run.error["node_id"] == node
    assert run.error["exception_type"].endswith(kind)
    assert sentence in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])
    assert_next_prompt_works(server)


def test_lyrics_too_long_for_the_model_are_cut_and_the_log_says_where(server: ComfyServer):
    verses = "\n".join(f"line number {count} of a very long song" for count in range(200))
    before = len(server.log())
    songs.make(server, lyrics={"text": f"[verse]\n{verses}"}, compose=SHORT)
    (line,) = (
        line for line in server.log()[before:].splitlines() if "Too long for this checkpoint" in line
    )
    assert "the lyrics lost their end" in line
    assert "of a very long song. line number" in line
    assert "line number 0 " not in line
