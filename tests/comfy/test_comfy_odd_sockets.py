"""What travels on our own sockets in a real ComfyUI, where switches and reroutes put anything there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import songs
from support.comfy_server import ComfyServer
from support.odd_prompts import PACK, SETTINGS, SHORT, Prompt, done, node, refused, styling, value


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    with ComfyServer(tmp_path_factory.mktemp("odd"), more_packs=[PACK]) as running:
        yield running


RENDERING = {"seed": 0, "steps": 1, "guidance": 1.0}
TAKERS = {  # of tokens
    "LeVoRender": {"renderer": ["2", 0], "track": "mix", **RENDERING},
    "LeVoRenderStems": {"renderer": ["2", 0], "mode": "released", **RENDERING},
    "LeVoSaveTokens": {"filename_prefix": "odd/odd"},
    "LeVoContinueSong": songs.song_prompt()[songs.COMPOSE]["inputs"] | {"take": 1, "seconds": 1.0},
    "LeVoFinishSong": {**SETTINGS, "fade": "songs cut at the limit", "audio": ["sound", 0]},
    "LeVoListen": {"mix": ["sound", 0]},
    "LeVoExport": {
        "audio": ["sound", 0],
        "filename_prefix": "odd/odd",
        "format": "FLAC 24-bit",
        "title": "",
        "artist": "",
        "embed_workflow": True,
    },
}


def into(class_type: str, **inputs: Any) -> Prompt:
    """A prompt that runs one node, "x", behind the nodes of a song and a few more."""
    prompt = songs.song_prompt(compose=SHORT) | {"sound": value("audio")}
    prompt |= {name: entry for name, entry in styling(value("audio")).items() if name.endswith("tor")}
    prompt["encoder"] = styling({})["model"]
    for output in (songs.SAVE, songs.ENDED, songs.SECONDS):
        del prompt[output]
    return prompt | {"x": node(class_type, **inputs), "out": node("PreviewAny", source=["x", 0])}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("field", ["lengths", "seeds", "ended", "request", "composer"])
def test_tokens_of_which_a_field_is_odd_are_one_sentence(odd: ComfyServer, field: str, taker: str):
    prompt = into(taker, **{**TAKERS[taker], "tokens": ["odd", 0]})
    prompt["odd"] = node("OddTokens", of=[songs.COMPOSE, 0], field=field)
    if taker in ("LeVoSaveTokens", "LeVoListen"):
        del prompt["out"]
    assert " was given tokens " in refused(odd, prompt, "x")
    assert not list((odd.base / "output").rglob("odd*"))


COMPOSING = songs.song_prompt(compose=SHORT)[songs.COMPOSE]["inputs"]
SPLIT = {"audio": ["sound", 0], "seed": 0}
STYLED = {"audio": ["sound", 0], "start": 0.0, "auto": False}
CONDITIONED = songs.song_prompt()[songs.CONDITIONING]["inputs"]
OURS = {  # node and socket -> its other inputs, what it needs
    ("LeVoCompose", "lelm"): (COMPOSING, "a LeLM"),
    ("LeVoContinueSong", "lelm"): (TAKERS["LeVoContinueSong"] | {"tokens": ["7", 0]}, "a LeLM"),
    ("LeVoRender", "renderer"): (TAKERS["LeVoRender"] | {"tokens": ["7", 0]}, "a renderer"),
    ("LeVoRenderStems", "renderer"): (TAKERS["LeVoRenderStems"] | {"tokens": ["7", 0]}, "a renderer"),
    ("LeVoDecode", "vae"): ({"latent": ["8", 0]}, "a VAE"),
    ("LeVoSplitVocals", "separator"): (SPLIT, "a separator"),
    ("LeVoStyleFromAudio", "style_encoder"): (STYLED, "a style encoder"),
    ("LeVoSaveCheckpoint", "model"): (
        {"name": "odd", "dtype": "as loaded"},
        "a LeLM or a renderer or a VAE",
    ),
    ("LeVoSaveStyle", "style"): ({"name": "odd"}, "a style"),
}
OPTIONAL = {
    ("LeVoConditioning", "style"): (CONDITIONED, "a style"),
    ("LeVoRender", "style"): (TAKERS["LeVoRender"] | {"tokens": ["7", 0], "vae": ["3", 0]}, "a style"),
    ("LeVoStyleFromAudio", "separator"): (STYLED | {"style_encoder": ["encoder", 0]}, "a separator"),
}
ODD_THINGS = {
    "None": (value("None"), "nothing"),
    "list": (value("list"), "of type list"),
    "text": (value("text"), "of type str"),
    "audio": (value("audio"), "of type dict"),
    "a separator": (node("Pass", of=["separator", 0]), "a separator"),
    "a style encoder": (node("Pass", of=["encoder", 0]), "a style encoder"),
    "a VAE": (node("Pass", of=["3", 0]), "a VAE"),
}


ODD_PLACES = [
    (place, thing)
    for place, (_, needed) in (OURS | OPTIONAL).items()
    for thing, (_, called) in ODD_THINGS.items()
    if called not in needed and not (thing == "None" and place in OPTIONAL)
]


@pytest.mark.parametrize(("place", "thing"), ODD_PLACES, ids=str)
def test_what_does_not_belong_on_a_socket_is_one_sentence(
    odd: ComfyServer, place: tuple[str, str], thing: str
):
    (inputs, needed), (entry, called) = (OURS | OPTIONAL)[place], ODD_THINGS[thing]
    said = refused(odd, into(place[0], **{**inputs, place[1]: ["odd", 0]}) | {"odd": entry}, "x")
    assert f" needs {needed}, and what it was given is {called}; connect LeVo " in said


def test_nothing_on_an_optional_socket_is_nothing(odd: ComfyServer):
    prompt = into("LeVoConditioning", **CONDITIONED, style=["odd", 0]) | {"odd": value("None")}
    done(odd, prompt)
    finishing_ = into("LeVoFinishSong", **SETTINGS, audio=["sound", 0], tokens=["odd", 0])
    done(odd, finishing_ | {"odd": value("None")})


@pytest.mark.parametrize("name", ["None", "list", "text", "audio"])
def test_what_is_no_song_of_a_list_is_not_saved(odd: ComfyServer, name: str):
    saving = {"song": ["odd", 0], "audio": ["sound", 0], "tokens": [songs.COMPOSE, 0]}
    prompt = into("LeVoSaveSong", **saving) | {"odd": value(name)}
    assert "LeVo Save Song needs a song of a list" in refused(odd, prompt, "x")
