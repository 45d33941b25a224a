"""LeVo Export Song in a real ComfyUI: what lies on the disk, what is in it, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support import songs
from support.comfy_server import ComfyServer, PromptRejected, Run
from support.sentences import assert_one_sentence
from support.sound_tags import tags_of

EXPORT, RGB = "export", "cover"
COMPOSED = {"seed": 11, "max_seconds": 2, "takes": 2}
WIDGETS = {
    "filename_prefix": "export/LeVo",
    "format": "FLAC 24-bit",
    "title": "",
    "artist": "",
    "embed_workflow": True,
}
WORKFLOW = {"id": "of a test", "nodes": [], "extra": {"text": "夜 }"}}


def exporting(**inputs: Any) -> dict[str, Any]:
    """The song prompt with its sound in LeVo Export Song; a value of None takes an input away."""
    defaults = {"audio": [songs.DECODE, 0], "tokens": [songs.COMPOSE, 0], **WIDGETS}
    given = {name: value for name, value in (defaults | inputs).items() if value is not None}
    prompt = songs.song_prompt(compose=COMPOSED, render={"steps": 2})
    prompt[RGB] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0x336699},
    }
    return prompt | {EXPORT: {"class_type": "LeVoExport", "inputs": given}}


def run_of(server: ComfyServer, prompt: dict[str, Any]) -> Run:
    run = server.run(prompt, workflow=WORKFLOW)
    assert run.status == "success", run.error
    return run


def files_of(server: ComfyServer, run: Run, kind: str = "audio") -> list[Path]:
    return [server.output_file(entry) for entry in run.outputs[EXPORT][kind]]


def read(file: Path, dtype: str = "float32") -> np.ndarray:
    sound, rate = soundfile.read(file, dtype=dtype, always_2d=True)
    assert rate == songs.SAMPLE_RATE
    return sound


def test_each_take_is_a_file_of_24_bits_with_all_that_is_known_of_it(server: ComfyServer):
    asked = exporting(title="Night Drive", artist="Me 夜", cover=[RGB, 0])
    run = run_of(server, asked)
    files = files_of(server, run)
    folder = server.base / "output" / "export"
    assert files == [folder / "LeVo_00001_.flac", folder / "LeVo_00002_.flac"]
    core = [server.output_file(entry) for entry in run.outputs[songs.SAVE]["audio"]]
    for number, (file, same) in enumerate(zip(files, core, strict=True)):
        assert soundfile.info(file).subtype == "PCM_24"
        assert np.abs(read(file) - read(same)).max() <= 1.5 / 32_768
        assert (read(file, "int32") >> 8 & 255).any(), "the low bits are there"
        texts, pictures = tags_of(file)
        assert (texts["title"], texts["artist"], pictures) == ("Night Drive", "Me 夜", 1)
        assert texts["genre"] == "female, pop, piano"
        assert texts["comment"].startswith(f"female, pop, piano; seed {11 + number}; ")
        assert texts["lyrics"] == "[verse]\nhello there\n\n[chorus]\nla la la"
        assert json.loads(texts["workflow"]) == WORKFLOW
        of_core, _ = tags_of(same)
        assert {name: texts[name] for name in of_core if name != "encoder"}.items() <= of_core.items()
    assert run.outputs[EXPORT]["levo_said"] == [
        "Saved export/LeVo_00001_.flac.\nSaved export/LeVo_00002_.flac."
    ]


@pytest.mark.parametrize("form", ["WAV 16-bit", "MP3 V0", "Opus 128 kbps"])
def test_other_formats_carry_the_same_and_can_do_without_the_workflow(server: ComfyServer, form: str):
    asked = exporting(format=form, title="Night", cover=[RGB, 0], embed_workflow=False)
    for file in files_of(server, run_of(server, asked)):
        assert file.suffix == f".{form.split()[0].lower()}"
        assert read(file).any()
        texts, pictures = tags_of(file)
        assert (texts["title"], texts["genre"], pictures) == ("Night", "female, pop, piano", 1)
        assert not {"prompt", "workflow"} & set(texts)


def test_stems_lie_in_a_zip_beside_each_song(server: ComfyServer):
    asked = exporting(
        filename_prefix="export/zip/{title} {seed}-{take}",
        title="AC/DC?",
        format="FLAC 16-bit",
        vocals=[songs.DECODE, 0],
        accompaniment=[songs.DECODE, 0],
    )
    run = run_of(server, asked)
    names = [file.name for file in files_of(server, run)]
    assert names == ["AC_DC_ 11-1_00001_.flac", "AC_DC_ 12-2_00001_.flac"]
    zips = files_of(server, run, "zip")
    assert [file.name for file in zips] == ["AC_DC_ 11-1_00001_stems.zip", "AC_DC_ 12-2_00001_stems.zip"]
    for file in zips:
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["AC_DC_ - vocals.flac", "AC_DC_ - accompaniment.flac"]
            texts, _ = tags_of(archive.read("AC_DC_ - vocals.flac"))
            assert texts["title"] == "AC/DC? (vocals)"
    folder = zips[0].parent
    assert sorted(path.name for path in folder.iterdir()) == sorted(names + [file.name for file in zips])


def test_a_sound_without_tokens_is_saved_and_what_is_too_loud_is_counted(server: ComfyServer):
    soundfile.write(
        server.base / "input" / "loud.wav", np.tile([[0.5], [1.5], [-2.0]], (4800, 1)), 44_100, "FLOAT"
    )
    asked = exporting(audio=["load", 0], tokens=None, filename_prefix="export/loud", format="WAV 24-bit")
    asked["load"] = {"class_type": "LoadAudio", "inputs": {"audio": "loud.wav"}}
    run = run_of(server, asked)
    (file,) = files_of(server, run)
    sound, rate = soundfile.read(file)
    assert rate == 44_100 and np.abs(sound).max() == 1
    assert run.outputs[EXPORT]["levo_said"] == [
        "Saved export/loud_00001_.wav. 9,600 samples were too loud and are clipped: see LeVo Finish Song."
    ]


def test_takes_as_a_list_go_with_tokens_as_one(server: ComfyServer):
    asked = exporting(audio=["finish", 0], filename_prefix="export/list_{seed}")
    finish = {"trim": False, "fade": "off", "normalise": False, "limiter": False}
    levels = {"silence_db": -60.0, "fade_seconds": 2.0, "loudness_lufs": -14.0, "ceiling_db": -1.0}
    inputs = {"audio": [songs.DECODE, 0], **finish, **levels}
    asked["finish"] = {"class_type": "LeVoFinishSong", "inputs": inputs}
    names = [file.name for file in files_of(server, run_of(server, asked))]
    assert names == ["list_11_00001_.flac", "list_12_00001_.flac"]


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("export/con", "_con_00001_.flac"),
        ("export/" + "x" * 400, "x" * 215 + "_00001_.flac"),
        ("export/a:b*?", "a_b___00001_.flac"),
    ],
)
def test_names_that_no_system_takes_are_mended(server: ComfyServer, prefix: str, name: str):
    files = files_of(server, run_of(server, exporting(filename_prefix=prefix)))
    assert files[0].name == name


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"filename_prefix": "../out"}, "stays in"),
        ({"filename_prefix": "/tmp/out"}, "stays in"),
        ({"filename_prefix": ""}, "stays in"),
        ({"filename_prefix": "export/{title}"}, "{title} is empty; fill in the title"),
        ({"filename_prefix": "export/{seed}", "tokens": None}, "{seed} is empty"),
        ({"vocals": ["one", 0]}, "counts 2 in audio and 1 in vocals"),
        ({"audio": ["one", 0]}, "counts 1 in audio and 2 in tokens"),
        ({"audio": ["empty", 0], "tokens": None, "format": "Opus 128 kbps"}, "0.050 s"),
        ({"cover": ["covers", 0]}, "counts 2 in audio and 3 in cover"),
        ({"cover": ["huge", 0]}, "at most 4096 a side"),
    ],
)
def test_what_cannot_be_saved_is_said_in_a_sentence_and_leaves_nothing(
    server: ComfyServer, inputs: dict[str, Any], said: str
):
    for name, samples in (("one", 4800), ("empty", 2400)):
        soundfile.write(server.base / "input" / f"{name}.wav", np.full(samples, 0.5), songs.SAMPLE_RATE)
    others = {
        name: {"class_type": "LoadAudio", "inputs": {"audio": f"{name}.wav"}} for name in ("one", "empty")
    }
    for name, width, count in (("covers", 8, 3), ("huge", 4104, 1)):
        size = {"width": width, "height": 8, "batch_size": count, "color": 0}
        others[name] = {"class_type": "EmptyImage", "inputs": size}
    folder = server.base / "output"
    before = sorted(path for path in folder.rglob("*") if "levo" not in path.name)
    run = server.run(exporting(**inputs) | others)
    assert run.status == "error"
    told = run.error["exception_message"].strip()
    assert_one_sentence(told)
    assert said in told
    assert sorted(path for path in folder.rglob("*") if "levo" not in path.name) == before


def test_a_name_in_braces_that_stands_for_nothing_is_refused_before_the_run(server: ComfyServer):
    asked = exporting(filename_prefix="{titel}")
    for other in (songs.SAVE, songs.ENDED, songs.SECONDS):  # which would run without it
        del asked[other]
    with pytest.raises(PromptRejected) as error:
        server.queue(asked)
    (reason,) = error.value.node_errors[EXPORT]["errors"]
    assert "'{titel}' stands for nothing; use {title}, {artist}, {seed}, {take}." in reason["details"]


def test_a_host_that_is_to_write_no_metadata_writes_no_workflow(tmp_path: Path):
    soundfile.write(tmp_path / "x.wav", np.full(4800, 0.5), songs.SAMPLE_RATE)
    with ComfyServer(tmp_path / "base", arguments=["--disable-metadata"]) as server:
        (server.base / "input").mkdir(exist_ok=True)
        (tmp_path / "x.wav").rename(server.base / "input" / "x.wav")
        inputs = {"audio": ["load", 0], **WIDGETS, "title": "Kept"}
        load = {"class_type": "LoadAudio", "inputs": {"audio": "x.wav"}}
        asked = {"load": load, EXPORT: {"class_type": "LeVoExport", "inputs": inputs}}
        texts, _ = tags_of(files_of(server, run_of(server, asked))[0])
    assert texts.get("title") == "Kept"
    assert not {"prompt", "workflow"} & set(texts)
