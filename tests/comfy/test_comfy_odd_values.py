"""Odd values on the sockets of a real ComfyUI: a sentence at our node, or nothing where nothing is asked.

Beside the pack stands `odd_values`, which puts them there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from support import pack, songs
from support.comfy_server import ComfyServer, Run
from support.odd_prompts import (
    PACK,
    SETTINGS,
    SHORT,
    TINY,
    Prompt,
    done,
    node,
    refused,
    save,
    styling,
    value,
)

from levo.config import Sampling
from levo.files.style_library import save_style
from levo.song import token_file
from levo.song.tokens import Composer, SongRequest, SongTokens


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    with ComfyServer(tmp_path_factory.mktemp("odd"), more_packs=[PACK]) as running:
        yield running


# AUDIO ---------------------------------------------------------------------------------------------------


def finishing(audio: dict[str, Any], **settings: Any) -> Prompt:
    finish = node("LeVoFinishSong", audio=["in", 0], **{**SETTINGS, **settings})
    levels = {name: node("PreviewAny", source=["x", at]) for name, at in (("loudness", 1), ("peak", 2))}
    return {"in": audio, "x": finish, "out": save("x"), **levels}


def splitting(audio: dict[str, Any]) -> Prompt:
    split = node("LeVoSplitVocals", separator=["model", 0], audio=["in", 0], seed=0)
    return {"in": audio, "model": node("LeVoLoadSeparator", checkpoint=TINY), "x": split, "out": save("x")}


def listening(audio: dict[str, Any]) -> Prompt:
    return {"in": audio, "x": node("LeVoListen", mix=["in", 0])}


def mixing(audio: dict[str, Any]) -> Prompt:
    gains = {"vocals_db": 0.0, "accompaniment_db": -3.0, "mix_db": 0.0}
    tracks = {"vocals": ["in", 0], "accompaniment": ["in", 0]}
    return {"in": audio, "x": node("LeVoMix", **tracks, **gains), "out": save("x")}


NODES = {"Finish": finishing, "Split": splitting, "Listen": listening, "Mix": mixing, "Style": styling}
ODD_SOUNDS = {
    "list": "is of type list",
    "text": "is of type str",
    "audio, NaN": "has samples that are no numbers",
    "audio, infinite": "has samples that are no numbers",
    "audio, 2-D": "has the shape",
    "audio, int16": "has int16 samples",
    "audio, complex": "has complex64 samples",
    "audio, empty": "is empty",
    "audio, 1 Hz": "has a sample rate that is 1;",
    "audio, 999,999,937 Hz": "has a sample rate that is 999999937;",
    "audio, negative rate": "has a sample rate that is -48000;",
    "audio, no rate": "has no sample_rate",
}


@pytest.mark.parametrize("prompt", NODES.values(), ids=NODES.keys())
@pytest.mark.parametrize("name", ODD_SOUNDS)
def test_what_is_no_sound_is_one_sentence_at_our_node(odd: ComfyServer, name: str, prompt: Any):
    sentence = refused(odd, prompt(value(name)), "x")
    assert ODD_SOUNDS[name] in sentence


@pytest.mark.parametrize(
    "prompt", [finishing, listening, splitting, mixing], ids=lambda make: make.__name__
)
@pytest.mark.parametrize(
    "name",
    [
        "audio",
        "audio of a batch",
        "audio of bf16",
        "audio with gradients",
        "audio of every second sample",
        "audio, left of what is interleaved",
    ],
)
def test_every_sound_goes_through(odd: ComfyServer, name: str, prompt: Any):
    run = done(odd, prompt(value(name)))
    assert len(run.outputs["out" if "out" in run.outputs else "x"]["audio"]) == 1 + ("batch" in name)


@pytest.mark.parametrize("prompt", [finishing, listening, mixing], ids=lambda make: make.__name__)
def test_a_sound_of_one_sample_goes_through(odd: ComfyServer, prompt: Any):
    done(odd, prompt(value("audio of one sample")))


def test_no_sound_goes_through_finish_song_as_nothing(odd: ComfyServer):
    run = done(odd, finishing(value("None")))
    assert {"out", "loudness", "peak"}.isdisjoint(run.outputs)


def test_no_sound_is_nothing_to_listen_to(odd: ComfyServer):
    run = done(odd, listening(value("None")))
    assert run.outputs.get("x", {}).get("takes", []) == []


def test_no_sound_is_nothing_to_mix(odd: ComfyServer):
    assert "has nothing to mix" in refused(odd, mixing(value("None")), "x")


def test_no_sound_is_no_style(odd: ComfyServer):
    prompt = styling(value("None"))
    prompt["out"] = node("PreviewAny", source=["x", 0])
    assert done(odd, prompt).outputs["out"]["text"] == ["None"]


def test_no_sound_cannot_be_split(odd: ComfyServer):
    assert refused(odd, splitting(value("None")), "x").startswith("The audio is missing")


def test_a_sound_file_with_one_wrong_sample_makes_no_file_and_no_level(odd: ComfyServer):
    sound = 0.3 * np.sin(np.arange(48_000) / 7)
    sound[1_000] = np.nan
    soundfile.write(odd.base / "input" / "nan.wav", sound, 48_000, subtype="FLOAT")
    for make in NODES.values():
        sentence = refused(odd, make(node("LoadAudio", audio="nan.wav")), "x")
        assert "the first at 0.021 s" in sentence
    assert not list((odd.base / "output").rglob("*nan*"))


@pytest.mark.parametrize("name", ["audio, NaN", "audio, int16", "audio, empty", "list"])
def test_a_sound_that_is_none_is_no_song_of_a_list(odd: ComfyServer, name: str):
    prompt = json.loads((pack.ROOT / "tests" / "prompts" / "batch_from_jsonl.json").read_text())
    prompt["list"]["inputs"]["folder"] = "no sound"
    prompt["compose"]["inputs"]["max_seconds"] = 2
    prompt["in"] = value(name)
    prompt["save"]["inputs"]["audio"] = ["in", 0]
    assert refused(odd, prompt, "save").startswith("The audio ")
    assert not list((odd.base / "output" / "no sound").rglob("*.flac"))


@pytest.mark.parametrize(
    ("setting", "name"), [("silence_db", "NaN"), ("fade_seconds", "None"), ("ceiling_db", "1e30")]
)
def test_odd_settings_of_a_finish_are_one_sentence(odd: ComfyServer, setting: str, name: str):
    prompt = finishing(value("audio"), fade="all songs", **{setting: ["odd", 0]})
    assert setting in refused(odd, prompt | {"odd": value(name)}, "x")


# LATENT and codes ----------------------------------------------------------------------------------------


def decoding(latent: dict[str, Any]) -> Prompt:
    vae = node("LeVoLoadVAE", checkpoint=TINY, dtype="auto")
    decode = node("LeVoDecode", vae=["vae", 0], latent=["in", 0])
    return {"in": latent, "vae": vae, "x": decode, "out": save("x")}


@pytest.mark.parametrize(
    "name", ["None", "list", "text", "audio", "latent, NaN", "latent, int", "latent, 2-D", "latent, empty"]
)
def test_what_are_no_latents_is_one_sentence(odd: ComfyServer, name: str):
    assert refused(odd, decoding(value(name)), "x").startswith("LeVo Decode ")


@pytest.mark.parametrize("code", ["-1", "16384", "99999", "float"])
def test_a_code_that_is_none_is_one_sentence_before_anything_is_rendered(odd: ComfyServer, code: str):
    prompt = songs.song_prompt(compose=SHORT)
    prompt["odd"] = node("OddCodes", of=[songs.COMPOSE, 0], code=code)
    prompt[songs.RENDER]["inputs"]["tokens"] = ["odd", 0]
    assert "no codes" in refused(odd, prompt, songs.RENDER)


@pytest.mark.parametrize("code", ["-1", "16384", "float"])
def test_a_style_with_a_code_that_is_none_is_one_sentence_before_anything_is_composed(
    odd: ComfyServer, code: str
):
    prompt = songs.song_prompt(compose=SHORT)
    library = {"style": "tiny (built in, random codes: stands for no style)", "language": "auto", "seed": 1}
    prompt["library"] = node("LeVoStyleFromLibrary", **library)
    prompt["odd"] = node("OddCodes", of=["library", 0], code=code)
    prompt[songs.CONDITIONING]["inputs"]["style"] = ["odd", 0]
    assert "The style" in refused(odd, prompt, songs.COMPOSE)


@pytest.mark.parametrize("name", ["None", "list", "text", "audio"])
def test_what_are_no_tokens_and_no_conditioning_is_one_sentence(odd: ComfyServer, name: str):
    rendering = songs.song_prompt(compose=SHORT) | {"odd": value(name)}
    rendering[songs.RENDER]["inputs"]["tokens"] = ["odd", 0]
    assert "needs tokens" in refused(odd, rendering, songs.RENDER)
    composing = songs.song_prompt(compose=SHORT | {"conditioning": ["odd", 0]}) | {"odd": value(name)}
    assert "needs a conditioning" in refused(odd, composing, songs.COMPOSE)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("guidance", "NaN"),
        ("guidance", "1e30"),
        ("temperature", "1e-320"),
        ("temperature", "NaN"),
        ("top_k", "0"),
        ("max_seconds", "NaN"),
        ("seed", "None"),
        ("takes", "0"),
    ],
)
def test_an_odd_setting_of_composing_is_one_sentence(odd: ComfyServer, setting: str, name: str):
    prompt = songs.song_prompt(compose=SHORT | {setting: ["odd", 0]}) | {"odd": value(name)}
    assert setting in refused(odd, prompt, songs.COMPOSE)


@pytest.mark.parametrize(("setting", "name"), [("guidance", "NaN"), ("steps", "0"), ("seed", "NaN")])
def test_an_odd_setting_of_rendering_is_one_sentence(odd: ComfyServer, setting: str, name: str):
    prompt = songs.song_prompt(compose=SHORT, render={setting: ["odd", 0]}) | {"odd": value(name)}
    assert setting in refused(odd, prompt, songs.RENDER)


# Weights that are no numbers -----------------------------------------------------------------------------

BROKEN = {
    "LeLM": ("loadlelm", "stage1.norm", songs.COMPOSE, "LeLM made numbers"),
    "renderer": ("loadrenderer", "flow.blocks.0.down", songs.RENDER, "The renderer made numbers"),
    "VAE": ("loadvae", "decoder", songs.DECODE, "The VAE made numbers"),
}


@pytest.mark.parametrize(("loader", "part", "at", "says"), BROKEN.values(), ids=BROKEN.keys())
def test_a_weight_that_is_no_number_makes_no_file(
    odd: ComfyServer, loader: str, part: str, at: str, says: str
):
    prompt = songs.song_prompt(compose=SHORT)
    place = {"loadlelm": "1", "loadrenderer": "2", "loadvae": "3"}[loader]
    for entry in prompt.values():
        entry["inputs"] = {
            name: ["broken", 0] if given == [place, 0] else given for name, given in entry["inputs"].items()
        }
    prompt["broken"] = node("BrokenModel", model=[place, 0], part=part)
    shutil.rmtree(odd.base / "output" / "audio", ignore_errors=True)
    assert refused(odd, prompt, at).startswith(says)
    assert not (odd.base / "output" / "audio").exists()


def test_a_weight_of_the_separator_that_is_no_number_is_told(odd: ComfyServer):
    prompt = splitting(value("audio"))
    prompt["broken"] = node("BrokenModel", model=["model", 0], part="encoder.0")
    prompt["x"]["inputs"]["separator"] = ["broken", 0]
    assert refused(odd, prompt, "x").startswith("The separator made numbers")


# Core's Save Latent and Load Latent ----------------------------------------------------------------------


def saved_sound(server: ComfyServer, run: Run, at: str) -> np.ndarray:
    return songs.sound_of_entry(server, run.outputs[at]["audio"][0])[0]


@pytest.mark.parametrize("style", [False, True], ids=["plain", "led by a style"])
@pytest.mark.parametrize("seconds", [2, 45])
def test_saved_and_loaded_latents_sound_the_same(odd: ComfyServer, seconds: int, style: bool):
    prompt = songs.song_prompt(compose={"max_seconds": seconds, "top_k": 50}, render={"steps": 1})
    prompt["keep"] = node("SaveLatent", samples=[songs.RENDER, 0], filename_prefix="latents/x")
    if style:
        prompt |= {name: entry for name, entry in styling(value("audio")).items() if name != "out"}
        prompt[songs.RENDER]["inputs"] |= {"style": ["x", 0], "vae": ["3", 0]}
    direct = done(odd, prompt)
    entry = direct.outputs["keep"]["latents"][0]
    shutil.copy(odd.output_file(entry), odd.base / "input" / "x.latent")
    loaded = done(odd, decoding(node("LoadLatent", latent="x.latent")))
    direct_sound = saved_sound(odd, direct, songs.SAVE)
    assert np.array_equal(saved_sound(odd, loaded, "out"), direct_sound)
    assert len(direct_sound) > songs.SAMPLE_RATE // 10


# Choices of other nodes ----------------------------------------------------------------------------------


TINY_STYLE = "tiny (built in, random codes: stands for no style)"
SONG = "chosen.safetensors"
# Node, what chooses a file in it, the choice, and the other inputs.
CHOOSERS: dict[str, tuple[str, list[str], str, dict[str, Any]]] = {
    **{
        name: (f"LeVoLoad{name}", ["checkpoint"], TINY, {"dtype": "fp32"})
        for name in ("LeLM", "Renderer", "VAE")
    },
    "Separator": ("LeVoLoadSeparator", ["checkpoint"], TINY, {}),
    "both encoders": ("LeVoLoadStyleEncoder", ["septoken", "one_rvq"], TINY, {}),
    "one encoder": ("LeVoLoadStyleEncoder", ["septoken"], TINY, {"one_rvq": TINY}),
    "the other encoder": ("LeVoLoadStyleEncoder", ["one_rvq"], TINY, {"septoken": TINY}),
    "style": ("LeVoStyleFromLibrary", ["style"], TINY_STYLE, {"language": "en", "seed": 1}),
    "tokens": ("LeVoLoadTokens", ["file"], SONG, {}),
}


def choosing(chooser: str, linked: bool) -> Prompt:
    """A node whose file another node chooses, or the node itself."""
    class_type, inputs, choice, more = CHOOSERS[chooser]
    chosen = dict.fromkeys(inputs, ["in", 0] if linked else choice)
    source = {"name": node("PrimitiveString", value=choice), "in": node("Pass", of=["name", 0])}
    return {
        **(source if linked else {}),
        "x": node(class_type, **chosen, **more),
        "out": node("PreviewAny", source=["x", 0]),
    }


def save_song(server: ComfyServer, frames: int) -> None:
    codes = torch.zeros(1, 3, frames, dtype=torch.int64)
    request, composer = SongRequest("[verse] La.", "pop.", False), Composer("tiny", "v2", "0" * 64)
    song = SongTokens(codes, (frames,), (0,), (True,), request, Sampling(), composer)
    token_file.save(server.base / "input" / SONG, song)


@pytest.mark.parametrize("chooser", CHOOSERS)
def test_a_file_that_another_node_chooses_is_loaded_once(odd: ComfyServer, chooser: str):
    save_song(odd, 25)
    prompt = choosing(chooser, linked=True)
    done(odd, prompt)
    said = len(odd.log())
    assert "x" in done(odd, prompt).cached
    assert "WARNING" not in odd.log()[said:]


def test_another_choice_of_another_node_is_loaded(odd: ComfyServer):
    save_song(odd, 25)
    shutil.copy(odd.base / "input" / SONG, odd.base / "input" / "other.safetensors")
    prompt = choosing("tokens", linked=True)
    done(odd, prompt)
    prompt["name"]["inputs"]["value"] = "other.safetensors"
    assert "x" not in done(odd, prompt).cached


def test_a_file_that_changes_is_loaded_anew(odd: ComfyServer):
    save_song(odd, 25)
    prompt = choosing("tokens", linked=False)
    done(odd, prompt)
    assert "x" in done(odd, prompt).cached
    save_song(odd, 50)
    assert "x" not in done(odd, prompt).cached


def test_a_saved_style_that_changes_is_drawn_anew(odd: ComfyServer):
    place = odd.base / "models" / "levo" / "styles" / "mine.safetensors"
    place.parent.mkdir(parents=True)
    codes = torch.zeros(1, 3, 250, dtype=torch.int64)
    save_style(place, codes, "one")
    prompt = choosing("style", linked=False)
    prompt["x"]["inputs"]["style"] = "mine (saved style)"
    done(odd, prompt)
    assert "x" in done(odd, prompt).cached
    place.unlink()
    save_style(place, codes, "another")
    assert "x" not in done(odd, prompt).cached


@pytest.mark.parametrize("name", ["None", "list", "NaN"])
def test_what_is_no_list_of_songs_is_one_sentence(odd: ComfyServer, name: str):
    settings = {"skip_faulty": False, "skip_finished": True, "songs_a_run": 1, "library": "none"}
    listed = node("LeVoSongsFromJSONL", file=["in", 0], folder="odd", **settings)
    prompt = {"in": value(name), "x": listed, "out": node("PreviewAny", source=["x", 1])}
    assert refused(odd, prompt, "x").startswith("LeVo Songs from JSONL takes the name of a file, not ")
