"""Stems in a real ComfyUI: three tracks of one song that add up to the mix, together and one by one."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from typing import Any

import numpy as np
import pytest
import soundfile
from support import pack, songs
from support.comfy_server import ComfyServer, Run
from support.sentences import assert_one_sentence
from support.style_songs import STYLE, VAE, style_prompt, write_clip
from support.workflow import to_prompt

EXAMPLE = pack.ROOT / "example_workflows" / "LeVo Stems.json"
TRACKS = ("mix", "vocals", "accompaniment")
COMPOSED = {"seed": 5, "max_seconds": 2}
RENDERED = {"steps": 2}
STEMS, SOUNDS, RESIDUAL = "stems", "sounds", "residual"
INAUDIBLE = -90  # dBFS


def stems_prompt(mode: str = "sum to mix", takes: int = 1) -> dict[str, Any]:
    """The song prompt with stems in place of its mix, a FLAC of each and the residual as text."""
    prompt = songs.song_prompt(compose=COMPOSED | {"takes": takes}, render=RENDERED)
    render = {name: value for name, value in prompt[songs.RENDER]["inputs"].items() if name != "track"}
    prompt[STEMS] = {"class_type": "LeVoRenderStems", "inputs": render | {"mode": mode}}
    latents = {track: [STEMS, number] for number, track in enumerate(TRACKS)}
    prompt[SOUNDS] = {"class_type": "LeVoDecodeStems", "inputs": {"vae": ["3", 0], **latents}}
    prompt[RESIDUAL] = {"class_type": "PreviewAny", "inputs": {"source": [SOUNDS, 3]}}
    for number, track in enumerate(TRACKS):
        prompt |= saved(track, [SOUNDS, number])
    del prompt[songs.SAVE]  # and with it nothing needs LeVo Render
    return prompt


def stems_only() -> dict[str, Any]:
    """The nodes that the stems prompt has beside the song prompt's."""
    added = {STEMS, SOUNDS, RESIDUAL, *TRACKS}
    return {node: entry for node, entry in stems_prompt().items() if node in added}


def saved(name: str, audio: list[Any]) -> dict[str, Any]:
    """A node of this name that saves a FLAC."""
    inputs = {"audio": audio, "filename_prefix": f"audio/{name}"}
    return {name: {"class_type": "SaveAudio", "inputs": inputs}}


def run_of(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt)
    assert run.status == "success", run.error
    return run


def sounds(server: ComfyServer, run: Run, node: str) -> list[np.ndarray]:
    return [songs.sound_of_entry(server, entry)[0] for entry in run.outputs[node]["audio"]]


def level(sound: np.ndarray) -> float:
    return 10 * np.log10((sound.astype(np.float64) ** 2).mean() + 1e-20)


def test_stems_add_up_to_the_mix_for_every_take(server: ComfyServer):
    run = run_of(server, stems_prompt(takes=2) | saved("alone", [songs.DECODE, 0]))
    mixes, vocals, accompaniments = (sounds(server, run, track) for track in TRACKS)
    assert len(mixes) == 2
    for mix, vocal, accompaniment in zip(mixes, vocals, accompaniments, strict=True):
        assert mix.shape == (2 * songs.SAMPLE_RATE, 2)
        assert level(mix - vocal - accompaniment) < INAUDIBLE  # with what three FLACs of 16 bits round off
        assert min(level(vocal), level(accompaniment)) > -60
    residuals = [float(text) for text in run.outputs[RESIDUAL]["text"]]
    assert max(residuals) < -130
    # LeVo Render makes the same mix from the same seed.
    for alone, mix in zip(sounds(server, run, "alone"), mixes, strict=True):
        assert level(alone - mix) < INAUDIBLE


def test_tracks_decoded_by_nodes_of_their_own_add_up_too(server: ComfyServer):
    prompt = stems_prompt()
    for number, track in enumerate(TRACKS):
        inputs = {"vae": ["3", 0], "latent": [STEMS, number]}
        prompt[f"decode {track}"] = {"class_type": "LeVoDecode", "inputs": inputs}
        prompt |= saved(f"one {track}", [f"decode {track}", 0])
    run = run_of(server, prompt)
    single = {track: sounds(server, run, f"one {track}")[0] for track in TRACKS}
    assert level(single["mix"] - single["vocals"] - single["accompaniment"]) < INAUDIBLE
    for track in TRACKS:
        assert level(single[track] - sounds(server, run, track)[0]) < INAUDIBLE


@pytest.mark.parametrize("mode", ["rendered", "released"])
def test_stems_rendered_for_themselves_say_how_far_they_are_from_the_mix(server: ComfyServer, mode: str):
    run = run_of(server, stems_prompt(mode))
    mix, vocals, accompaniment = (sounds(server, run, track)[0] for track in TRACKS)
    (residual,) = map(float, run.outputs[RESIDUAL]["text"])
    assert residual > -60
    assert residual == pytest.approx(level(mix - vocals - accompaniment), abs=0.1)


def test_stems_in_the_style_of_a_clip_go_on_from_its_sound_and_add_up(server: ComfyServer):
    write_clip(server)
    styled = {"style": [STYLE, 0], "vae": [VAE, 0]}
    prompt = style_prompt(compose=COMPOSED, render=RENDERED) | stems_only()
    prompt[STEMS]["inputs"] |= styled
    run = run_of(server, prompt)
    mix, vocals, accompaniment = (sounds(server, run, track)[0] for track in TRACKS)
    assert level(mix - vocals - accompaniment) < INAUDIBLE
    alone, _, _ = songs.sound_of(server, run)  # of LeVo Render in the same style
    assert level(alone - mix) < INAUDIBLE
    for name in styled:
        del prompt[STEMS]["inputs"][name]
    unlike = [sounds(server, run_of(server, prompt), track)[0] for track in TRACKS[:2]]
    assert not any(np.array_equal(a, b) for a, b in zip(unlike, (mix, vocals), strict=True))


def test_latents_of_an_accompaniment_may_be_saved_and_loaded(server: ComfyServer):
    prompt = stems_prompt()
    inputs = {"samples": [STEMS, 2], "filename_prefix": "latents/accompaniment"}
    run = run_of(server, prompt | {"save": {"class_type": "SaveLatent", "inputs": inputs}})
    file = server.output_file(run.outputs["save"]["latents"][0])
    shutil.copy(file, server.base / "input" / "accompaniment.latent")
    prompt = {
        "3": prompt["3"],
        "load": {"class_type": "LoadLatent", "inputs": {"latent": "accompaniment.latent"}},
        "decode": {"class_type": "LeVoDecode", "inputs": {"vae": ["3", 0], "latent": ["load", 0]}},
        **saved("again", ["decode", 0]),
    }
    again = sounds(server, run_of(server, prompt), "again")[0]
    heard_alike = slice(0, songs.SAMPLE_RATE)  # the file does not hold the frames after the end
    before = sounds(server, run, "accompaniment")[0]
    assert level(again[heard_alike] - before[heard_alike]) < INAUDIBLE


def test_the_example_workflow_makes_stems_and_keeps_the_tokens(
    server: ComfyServer, object_info: dict[str, Any]
):
    prompt = to_prompt(json.loads(EXAMPLE.read_text("utf-8")), object_info)
    nodes = {entry["class_type"]: node for node, entry in prompt.items()}
    prompt[nodes["LeVoCompose"]]["inputs"] |= {"max_seconds": 2}
    prompt[nodes["LeVoRenderStems"]]["inputs"] |= RENDERED
    run = run_of(server, prompt)
    export = nodes["LeVoExport"]
    (mix,) = sounds(server, run, export)
    with zipfile.ZipFile(server.output_file(run.outputs[export]["zip"][0])) as archive:
        stems = [io.BytesIO(archive.read(f"LeVo - {stem}.flac")) for stem in TRACKS[1:]]
    vocals, accompaniment = (soundfile.read(stem, dtype="float32")[0] for stem in stems)
    assert 1.8 * songs.SAMPLE_RATE < len(vocals) == len(accompaniment) <= 2 * songs.SAMPLE_RATE
    # The mix is finished: as loud as asked, faded out, and cut where it is silent.
    assert songs.SAMPLE_RATE < len(mix) <= len(vocals)
    heard, summed = (x[: songs.SAMPLE_RATE // 10] for x in (mix, vocals + accompaniment))
    gain = (heard * summed).sum() / (summed**2).sum()
    assert gain > 0 and level(heard - gain * summed) < level(heard) - 20
    assert server.output_file(run.outputs[nodes["LeVoSaveTokens"]]["tokens"][0]).exists()
    assert list(run.outputs[nodes["LeVoListen"]]["takes"][0]["tracks"]) == list(TRACKS)


def test_tracks_of_different_songs_stop_the_run_with_one_sentence(server: ComfyServer):
    prompt = stems_prompt()
    prompt["short"] = {"class_type": "EmptyLatentAudio", "inputs": {"seconds": 1.0, "batch_size": 1}}
    prompt[SOUNDS]["inputs"]["vocals"] = ["short", 0]
    run = server.run(prompt)
    assert run.status == "error"
    assert "LeVo Decode Stems was given tracks of different songs" in run.error["exception_message"]
    assert_one_sentence(run.error["exception_message"])
