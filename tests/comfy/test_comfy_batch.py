"""Songs of a list in a real ComfyUI: refused, made, stopped, made on, and without the editor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from support import libraries, pack, songs
from support.comfy_lists import LYRICS, batch_prompt, folder_of, list_path, results, run, saved_names, write
from support.comfy_server import ComfyServer, Message, PromptRejected
from support.sentences import assert_one_sentence
from support.sound_tags import tags_of

TINY_ENCODER = "tiny (built in, random weights: sounds like noise)"
GOOD = ["one", "two", "three", "four"]
SIX = [
    {"idx": "one", "gt_lyric": LYRICS, "descriptions": "female, pop"},
    {"idx": "two", "gt_lyric": LYRICS},
    {"idx": "bad", "gt_lyric": "[pre-chorus] la la"},
    {"idx": "three", "gt_lyric": LYRICS},
    {"idx": "four", "gt_lyric": "[verse] Something else"},
    {"gt_lyric": LYRICS},
]


@pytest.fixture
def song_list(server: ComfyServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Six songs, two of them faulty, under the name of the test, as its folder of output is."""
    path = list_path(server, request.node.name)
    write(path, SIX)
    yield path
    path.unlink()


def test_a_list_with_faulty_lines_is_refused_whole_and_all_of_them_are_named(
    server: ComfyServer, song_list: Path
):
    refused = run(server, song_list)
    assert refused.status == "error"
    assert refused.error["node_id"] == "list"
    told, *faults = refused.error["exception_message"].strip().split("\n")
    assert "has 2 faulty lines" in told
    assert [fault.partition(":")[0] for fault in faults] == ["Line 3", "Line 6"]
    assert "[pre-chorus]" in faults[0]
    assert "idx is missing" in faults[1]
    for sentence in (told, *faults):
        assert_one_sentence(sentence)
    composed = [m for m in refused.of_type("executing") if m.data["node"] == "compose"]
    assert not composed
    assert not folder_of(server, song_list).exists()


def test_the_good_lines_of_a_list_become_songs_and_results(server: ComfyServer, song_list: Path):
    assert saved_names(run(server, song_list, skip_faulty=True)) == GOOD
    folder = folder_of(server, song_list)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.flac" for name in GOOD), "results.jsonl"]
    )
    records = results(folder)
    assert [record["idx"] for record in records] == GOOD
    for record in records:
        sound, rate = soundfile.read(folder / record["file"])
        info = soundfile.info(folder / record["file"])
        assert (info.format, info.subtype, rate) == ("FLAC", "PCM_16", songs.SAMPLE_RATE)
        assert len(sound) / rate == record["seconds"] == 0.4
        assert np.abs(sound).max() > 0
        assert record["ended_by_itself"] is False
        assert (record["seed"], record["sampling"]["temperature"]) == (1, 0.8)
        assert record["composer"]["version"] == "v2"
        assert record["settings"]["render"] == {
            "class_type": "LeVoRender",
            "inputs": {"track": "mix", "seed": 1, "steps": 1, "guidance": 1.5},
        }
        assert "2026" <= record["started"] <= record["saved"]


def test_a_list_that_was_stopped_goes_on_with_what_is_missing(server: ComfyServer, song_list: Path):
    write(song_list, [SIX[0], SIX[1], SIX[3], SIX[4]])
    folder = folder_of(server, song_list)
    assert saved_names(run(server, song_list, songs_a_run=1)) == ["one"]
    assert saved_names(run(server, song_list, songs_a_run=1)) == ["two"]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.flac")}

    def stop(message: Message) -> None:
        if message.type == "progress" and message.data["node"] == "compose":
            server.interrupt()

    assert run(server, song_list, stop, songs_a_run=1).status == "interrupted"
    assert {path.stem for path in folder.iterdir()} == {"one", "two", "results"}
    assert saved_names(run(server, song_list)) == ["three", "four"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    finished = run(server, song_list)
    assert saved_names(finished) == []
    assert "compose" not in {message.data["node"] for message in finished.of_type("progress")}

    changed = {**SIX[1], "descriptions": "rock"}
    write(song_list, [SIX[0], changed, SIX[3], SIX[4]])
    assert saved_names(run(server, song_list)) == ["two (2)"]  # another song under the same name
    assert saved_names(run(server, song_list, skip_finished=False, songs_a_run=2)) == ["one", "two (2)"]
    assert sorted(record["idx"] for record in results(folder)) == sorted([*GOOD, "two"])
    assert folder.joinpath("two.flac").stat().st_mtime_ns == before[folder / "two.flac"]


def test_prompt_audio_is_read_from_the_input_folder(server: ComfyServer, song_list: Path):
    soundfile.write(server.base / "input" / "clip.wav", np.full((4_800, 2), 0.25), 48_000)
    write(song_list, [{**SIX[0], "prompt_audio_path": "clip.wav"}])
    prompt = batch_prompt(f"lists/{song_list.name}", song_list.stem)
    prompt = {"list": prompt["list"]}
    prompt["keep"] = {
        "class_type": "SaveAudio",
        "inputs": {"audio": ["list", 4], "filename_prefix": ["list", 6]},
    }
    done = server.run(prompt)
    assert done.status == "success", done.error
    sound, rate, _ = songs.sound_of(server, done, "keep")
    assert (len(sound), rate) == (4_800, 48_000)
    np.testing.assert_allclose(sound, 0.25, atol=1e-4)
    (entry,) = done.outputs["keep"]["audio"]
    assert entry["subfolder"] == song_list.stem
    assert entry["filename"] in ("one_00001_.flac", "one_00001.flac")  # of older and of newer hosts


def test_a_song_without_prompt_audio_has_no_style(server: ComfyServer, song_list: Path):
    soundfile.write(server.base / "input" / "tone.wav", np.sin(np.arange(96_000) / 50)[:, None], 48_000)
    write(song_list, [{**SIX[0], "prompt_audio_path": "tone.wav"}, SIX[1]])
    listed = batch_prompt(f"lists/{song_list.name}", song_list.stem)["list"]
    encoder = {"septoken": TINY_ENCODER, "one_rvq": TINY_ENCODER}
    clip = {"audio": ["list", 4], "vocals": ["list", 4], "start": 0.0, "auto": False}
    done = server.run(
        {
            "list": listed,
            "encoder": {"class_type": "LeVoLoadStyleEncoder", "inputs": encoder},
            "style": {
                "class_type": "LeVoStyleFromAudio",
                "inputs": {"style_encoder": ["encoder", 0], **clip},
            },
            "shown": {"class_type": "PreviewAny", "inputs": {"source": ["style", 0]}},
        }
    )
    assert done.status == "success", done.error
    first, second = done.outputs["shown"]["text"]
    assert first.startswith("Style(")
    assert second == "None"


def test_styles_are_drawn_from_the_library_that_is_chosen(server: ComfyServer, song_list: Path):
    folder = server.base / "models" / "levo"
    library = libraries.write(folder / "new_auto_prompt.pt", libraries.spoken())
    write(song_list, [{**SIX[0], "auto_prompt_audio_type": "pop"}])
    prompt = batch_prompt(f"lists/{song_list.name}", song_list.stem, library="new_auto_prompt")
    prompt = {"list": prompt["list"]}
    prompt["keep"] = {"class_type": "LeVoSaveStyle", "inputs": {"style": ["list", 3], "name": ["list", 6]}}
    done = server.run(prompt)
    saved = folder / "styles" / song_list.stem / "one.safetensors"
    try:
        assert done.status == "success", done.error
        codes = load_file(saved)["codes"].long()
    finally:
        library.unlink()
        saved.unlink(missing_ok=True)
    assert any(torch.equal(codes, entry[0]) for entry in libraries.spoken()["Pop"]["en"])


@pytest.mark.parametrize("file", ["gone.jsonl", "../output/results.jsonl", "lists"])
def test_a_file_that_is_not_there_is_refused_before_anything_runs(server: ComfyServer, file: str):
    with pytest.raises(PromptRejected) as refusal:
        server.run(batch_prompt(file, "batch"))
    (reason,) = refusal.value.node_errors["list"]["errors"]
    assert reason["extra_info"]["input_name"] == "file"
    assert f"found no file {file!r}" in reason["details"]
    assert_one_sentence(reason["details"])


@pytest.mark.parametrize("folder", ["..", "../elsewhere", "/tmp/elsewhere", "", "."])
def test_no_folder_leads_out_of_the_output_folder(server: ComfyServer, song_list: Path, folder: str):
    write(song_list, SIX[:1])
    refused = server.run(batch_prompt(f"lists/{song_list.name}", folder))
    assert refused.status == "error"
    assert f"cannot use the folder {folder!r}" in refused.error["exception_message"]
    assert_one_sentence(refused.error["exception_message"])


def test_all_takes_of_all_songs_are_saved_under_their_own_names(server: ComfyServer, song_list: Path):
    write(song_list, SIX[:2])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}")
    prompt["compose"]["inputs"]["takes"] = 2
    done = server.run(prompt)
    assert saved_names(done) == ["one", "one (2)", "two", "two (2)"]
    place = f"lists/{song_list.stem}"
    saved = [f"Saved {place}/{name}.flac." for name in ("one (2)", "two", "two (2)")]
    assert done.outputs["save"]["levo_said"] == ["\n".join(saved)], "the last ones"
    records = results(folder_of(server, song_list))
    told = [(record["idx"], record["file"], record["seed"]) for record in records]
    assert told == [
        *(("one", "one.flac", 1), ("one", "one (2).flac", 2)),
        *(("two", "two.flac", 1), ("two", "two (2).flac", 2)),
    ]


@pytest.mark.parametrize("form", ["WAV 24-bit", "MP3 V0", "Opus 128 kbps"])
def test_songs_are_saved_in_a_format_of_choice(server: ComfyServer, song_list: Path, form: str):
    write(song_list, SIX[:2])
    folder = folder_of(server, song_list)
    assert saved_names(run(server, song_list, songs_a_run=1)) == ["one"]
    flac = (folder / "one.flac").read_bytes()
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}")
    prompt["save"]["inputs"]["format"] = form
    assert saved_names(server.run(prompt)) == ["two"], "one is there in another format"
    suffix = f".{form.split()[0].lower()}"
    two = folder / f"two{suffix}"
    assert tags_of(two)[0]["title"] == "two"
    for told in ("[verse]\nHello there\n\n[chorus]\nLa la la", f'"format": "{form}"'):
        assert told.encode() in two.read_bytes()
    prompt["list"]["inputs"]["skip_finished"] = False
    for _ in range(2):  # into new files, then into these
        server.clear_cache()
        assert saved_names(server.run(prompt)) == ["one", "two"]
    names = {"one.flac", f"one{suffix}", f"two{suffix}"}
    assert {path.name for path in folder.iterdir()} == {*names, "results.jsonl"}
    assert {record["file"] for record in results(folder)} == names
    assert (folder / "one.flac").read_bytes() == flac


def test_the_script_of_the_readme_makes_all_songs_and_ends(
    server: ComfyServer, song_list: Path, tmp_path: Path
):
    write(song_list, [SIX[0], SIX[1]])
    (script,) = re.findall(r"```python\n(.*?)```", (pack.ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    script = script.replace("http://127.0.0.1:8188", server.url)
    script = script.replace("songs.jsonl", f"lists/{song_list.name}")
    prompt = batch_prompt("", f"lists/{song_list.stem}", songs_a_run=1)
    (tmp_path / "batch_from_jsonl.json").write_text(json.dumps(prompt), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.stdout, done.stderr) == ("one.flac\ntwo.flac\n", "")
