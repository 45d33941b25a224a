"""Lists with faults in a real ComfyUI: what is known before, what is kept, what goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support import pack
from support.comfy_lists import LYRICS, batch_prompt, folder_of, list_path, results, run, saved_names, write
from support.comfy_server import ComfyServer, Message, Run
from support.node_texts import texts_of
from support.sentences import assert_one_sentence
from support.sound_tags import tags_of

TINY_ENCODER = "tiny (built in, random weights: sounds like noise)"
TONE = 0.3 * np.sin(np.arange(3 * 48_000) / 20)


@pytest.fixture
def song_list(server: ComfyServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the list of the test is to be written."""
    path = list_path(server, request.node.name)
    yield path
    path.unlink(missing_ok=True)


def song(idx: str, lyrics: str = LYRICS, **fields: Any) -> dict[str, Any]:
    return {"idx": idx, "gt_lyric": lyrics, **fields}


def composed(run: Run) -> bool:
    return any(message.data["node"] == "compose" for message in run.of_type("executing"))


def refused(run: Run) -> str:
    """What a run was refused with, before anything was composed."""
    assert run.status == "error"
    assert run.error["node_id"] == "list"
    assert not composed(run)
    return run.error["exception_message"].strip()


def test_one_song_a_run_is_what_new_nodes_and_examples_do(object_info: dict[str, Any]):
    required = object_info["LeVoSongsFromJSONL"]["input"]["required"]
    assert required["songs_a_run"][1]["default"] == 1
    for path in sorted(pack.ROOT.glob("example_workflows/*JSONL*.json")):
        nodes = json.loads(path.read_text("utf-8"))["nodes"]
        (node,) = [node for node in nodes if node["type"] == "LeVoSongsFromJSONL"]
        assert node["widgets_values"][3] == 1


def test_a_cancel_in_a_later_song_keeps_the_earlier_ones(server: ComfyServer, song_list: Path):
    write(song_list, [song(name) for name in ("one", "two", "three")])
    assert saved_names(run(server, song_list, songs_a_run=1)) == ["one"]
    assert saved_names(run(server, song_list, songs_a_run=1)) == ["two"]

    def stop(message: Message) -> None:
        if message.type == "progress" and message.data["node"] == "render":
            server.interrupt()

    assert run(server, song_list, stop, songs_a_run=1, skip_faulty=True).status == "interrupted"
    assert {path.name for path in folder_of(server, song_list).iterdir()} == {
        *("one.flac", "two.flac", "results.jsonl"),
    }
    again = run(server, song_list, songs_a_run=1, skip_faulty=True)
    assert saved_names(again) == ["three"]  # no fault of its


def breaking_prompt(song_list: Path, **inputs: Any) -> dict[str, Any]:
    """Of three songs the second fails behind the list."""
    write(song_list, [song("one"), song("bad", "[verse] Breaks behind the list"), song("three")])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}", **inputs)
    changed = {"string": ["list", 1], "find": "Breaks behind the list.", "replace": "[pre-chorus]"}
    prompt["breaking"] = {"class_type": "StringReplace", "inputs": changed}
    prompt["conditioning"]["inputs"]["lyrics"] = ["breaking", 0]
    return prompt


def test_of_songs_that_fail_together_each_is_tried_alone(server: ComfyServer, song_list: Path):
    prompt = breaking_prompt(song_list, skip_faulty=True)
    assert server.run(prompt).status == "error"
    assert saved_names(server.run(prompt)) == ["one"]
    assert server.run(prompt).status == "error"
    assert saved_names(server.run(prompt)) == ["three"]
    assert saved_names(server.run(prompt)) == []


def test_what_was_composed_before_a_run_failed_is_kept(server: ComfyServer, song_list: Path):
    write(song_list, [song("one"), song("two")])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}", songs_a_run=1)
    inputs = {"samples": ["render", 0], "filename_prefix": "%nothing%/../../../.."}  # leads outside
    prompt["breaking"] = {"class_type": "SaveLatent", "inputs": inputs}
    failed = server.run(prompt)
    assert (failed.status, failed.error["node_id"]) == ("error", "breaking")
    wait_for(lambda: (folder_of(server, song_list) / "results.jsonl").exists())
    del prompt["breaking"]
    done = server.run(prompt)
    assert saved_names(done) == ["one"]
    assert {"list", "compose", "render"} <= done.cached


def test_a_workflow_that_no_flac_holds_costs_no_song(server: ComfyServer, song_list: Path):
    write(song_list, [song("one")])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}")
    done = server.run(prompt, workflow={"picture": "x" * 17_000_000})
    assert saved_names(done) == ["one"]
    said = done.outputs["save"]["levo_said"][0].splitlines()
    assert said[1:] == ["The workflow is not in the file: it is more than a FLAC holds."]
    tags, _ = tags_of(folder_of(server, song_list) / "one.flac")
    assert "workflow" not in tags
    assert tags["title"] == "one"


def test_a_song_that_cannot_be_made_is_told_recorded_and_passed_over(server: ComfyServer, song_list: Path):
    prompt = breaking_prompt(song_list, songs_a_run=1)
    assert saved_names(server.run(prompt)) == ["one"]
    assert server.run(prompt).status == "error"
    assert server.run(prompt).status == "error"  # tried again, as nothing else was asked for
    wait_for(lambda: len(results(folder_of(server, song_list))) == 2)
    record = results(folder_of(server, song_list))[1]
    assert (record["idx"], record["line"], record["asked_sha256"] != "") == ("bad", 2, True)
    assert record["error"].startswith("LeVoConditioning could not make it: ")
    assert "[pre-chorus]" in record["error"]
    prompt["list"]["inputs"]["skip_faulty"] = True
    (told,) = texts_of(server, prompt, "list")
    assert told.split("\n")[:2] == ["1 of 3 songs to make.", "This run: line 3 ('three')."]
    assert told.split("\n")[2].startswith(
        "Skipped: Line 2: idx 'bad': LeVoConditioning could not make it: "
    )
    assert folder_of(server, song_list).joinpath("three.flac").is_file()
    (told,) = texts_of(server, prompt, "list")
    assert told.startswith("No song is left to make, and 1 could not be made.\nSkipped: Line 2: idx 'bad'")


def test_of_two_lists_in_one_graph_each_keeps_account_of_its_songs(server: ComfyServer, song_list: Path):
    prompt = breaking_prompt(song_list, songs_a_run=1)
    assert saved_names(server.run(prompt)) == ["one"]
    another = {"file": "example (built in, two songs)", "folder": ["list", 6]}  # so that it comes second
    prompt["another"] = {"class_type": "LeVoSongsFromJSONL", "inputs": prompt["list"]["inputs"] | another}
    prompt["conditioning"]["inputs"]["description"] = ["another", 2]
    assert server.run(prompt).status == "error"
    wait_for(lambda: [line["idx"] for line in results(folder_of(server, song_list))] == ["one", "bad"])


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def clips(server: ComfyServer) -> None:
    folder = server.base / "input"
    soundfile.write(folder / "good.wav", TONE, 48_000)
    soundfile.write(folder / "eight_bit.wav", TONE, 48_000, subtype="PCM_U8")
    soundfile.write(folder / "silent.wav", TONE * 0, 48_000)
    soundfile.write(folder / "short.wav", TONE[:20_000], 48_000)
    soundfile.write(folder / "late.wav", np.concatenate([np.zeros(11 * 48_000), TONE]), 48_000)
    soundfile.write(folder / "nan.wav", np.where(np.arange(len(TONE)) == 9, np.nan, TONE), 48_000, "FLOAT")
    (folder / "words.wav").write_text("no sound at all")
    if not (folder / "loop.wav").is_symlink():
        (folder / "loop.wav").symlink_to("loop.wav")


BAD = {
    "eight_bit.wav": "is no audio that ComfyUI can read",
    "words.wav": "is no audio that ComfyUI can read",
    "nan.wav": "no numbers",
    "loop.wav": "cannot be opened",
    "x" * 300: "cannot be opened",
    "silent.wav": "is silent from 0 s",
    "short.wav": "lasts 0.4 s",
    "late.wav": "is silent from 0 s",
}


def test_clips_are_opened_when_the_list_is_read(server: ComfyServer, song_list: Path):
    clips(server)
    names = ["good.wav", *BAD, "good.wav"]
    write(song_list, [song(f"s{n}", prompt_audio_path=name) for n, name in enumerate(names)])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}")
    encoder = {"septoken": TINY_ENCODER, "one_rvq": TINY_ENCODER}
    clip = {"audio": ["list", 4], "vocals": ["list", 4], "start": 0.0, "auto": False}
    prompt["encoder"] = {"class_type": "LeVoLoadStyleEncoder", "inputs": encoder}
    prompt["style"] = {
        "class_type": "LeVoStyleFromAudio",
        "inputs": {"style_encoder": ["encoder", 0], **clip},
    }
    prompt["conditioning"]["inputs"]["style"] = ["style", 0]
    told, *faults = refused(server.run(prompt)).split("\n")
    assert told.startswith(f"lists/{song_list.name} has {len(BAD)} faulty lines")
    for number, (fault, sentence) in enumerate(zip(faults, BAD.values(), strict=True), start=1):
        assert fault.startswith(f"Line {number + 1}: idx 's{number}': prompt_audio_path")
        assert sentence in fault
        assert_one_sentence(fault)
    prompt["list"]["inputs"]["skip_faulty"] = True
    assert saved_names(server.run(prompt)) == ["s0", f"s{len(BAD) + 1}"]
    failed = [record for record in results(folder_of(server, song_list)) if "error" in record]
    assert [(record["idx"], record["line"]) for record in failed] == [
        (f"s{number}", number + 1) for number in range(1, len(BAD) + 1)
    ]
    prompt["style"]["inputs"]["auto"] = True  # now one of them is of use
    assert saved_names(server.run(prompt)) == [f"s{1 + list(BAD).index('late.wav')}"]


def test_two_lists_keep_each_others_songs(server: ComfyServer, song_list: Path):
    lists = [[song(idx, f"[verse] {name} {idx}") for idx in ("1", "2")] for name in ("Harbour", "Lamps")]
    folder = folder_of(server, song_list)
    names = (["1", "2"], ["1 (2)", "2 (2)"], [])
    hashes: dict[str, bytes] = {}
    for lines, expected in zip([lists[0], lists[1], lists[0]], names, strict=True):
        write(song_list, lines)
        assert saved_names(run(server, song_list)) == expected
        for name, before in hashes.items():
            assert folder.joinpath(name).read_bytes() == before
        hashes = {path.name: path.read_bytes() for path in folder.glob("*.flac")}
    assert len(results(folder)) == len(hashes) == 4


ODD = ["海" * 90, "गीत", "गात", "ONE", "one", "a/b", "a:b", "COM¹", "trailing.", "e\u0301", "é", "__LNK0__"]


def test_songs_of_any_name_are_saved(server: ComfyServer, song_list: Path):
    write(song_list, [song(idx, f"[verse] Song number {n}") for n, idx in enumerate(ODD)])
    names = saved_names(run(server, song_list))
    assert names == [
        *("海" * 71, "गीत", "गात", "ONE", "one (2)", "a_b", "a_b (2)", "_COM¹", "trailing", "é", "é (2)"),
        "__LNK0__",
    ]
    assert saved_names(run(server, song_list)) == []


def test_names_of_times_in_the_folder_are_resolved(server: ComfyServer, song_list: Path):
    write(song_list, [song("one")])
    done = server.run(batch_prompt(f"lists/{song_list.name}", "dated/%year%"))
    year = time.strftime("%Y")
    assert done.outputs["save"]["audio"] == [
        {"filename": "one.flac", "subfolder": f"dated/{year}", "type": "output"}
    ]
    assert saved_names(server.run(batch_prompt(f"lists/{song_list.name}", "dated/%year%"))) == []


@pytest.mark.parametrize(
    "folder", ["batch_%width%", "%date:yyyy-MM-dd%", "a file", "a file/below", "x" * 300]
)
def test_a_folder_that_cannot_be_used_is_known_before(server: ComfyServer, song_list: Path, folder: str):
    (server.base / "output" / "a file").touch()
    write(song_list, [song("one")])
    assert_one_sentence(refused(server.run(batch_prompt(f"lists/{song_list.name}", folder))))


@pytest.mark.parametrize("skip_finished", [True, False])
def test_damaged_results_are_known_before(server: ComfyServer, song_list: Path, skip_finished: bool):
    write(song_list, [song("one")])
    folder = folder_of(server, song_list)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.jsonl").write_text("{")
    told = refused(run(server, song_list, skip_finished=skip_finished))
    assert "is damaged; mend it, or move it away" in told
    assert_one_sentence(told)


def test_a_json_document_is_said_once_and_no_fault_without_end(server: ComfyServer, song_list: Path):
    song_list.write_text(json.dumps([song(str(n)) for n in range(50)], indent=2))
    assert_one_sentence(refused(run(server, song_list)))
    song_list.write_text("{\n" * 5_000)
    told = refused(run(server, song_list)).split("\n")
    assert (len(told), told[-1]) == (22, "And 4,980 more faulty lines.")


def test_settings_that_cannot_be_told_leave_a_song_recorded(server: ComfyServer, song_list: Path):
    write(song_list, [song("one")])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}")
    for node, value in (("half", "\ud83d"), ("none", "[]")):
        prompt[node] = {"class_type": "PrimitiveString", "inputs": {"value": value, "odd": []}}
    inputs = {"string_a": ["half", 0], "string_b": ["none", 0], "delimiter": " "}
    prompt["joined"] = {"class_type": "StringConcatenate", "inputs": inputs}
    inputs = {"string": ["list", 1], "find": ["joined", 0], "replace": ""}
    prompt["replaced"] = {"class_type": "StringReplace", "inputs": inputs}
    prompt["conditioning"]["inputs"]["lyrics"] = ["replaced", 0]
    assert saved_names(server.run(prompt)) == ["one"]
    (record,) = results(folder_of(server, song_list))
    assert record["settings"]["half"]["inputs"] == {"value": "\ud83d", "odd": []}
    assert saved_names(server.run(prompt)) == []


def test_a_name_like_a_placeholder_of_the_editor_is_shown(server: ComfyServer, song_list: Path):
    write(song_list, [song("one"), song("__LNK0__", "[pre-chorus] la")])
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}", skip_faulty=True)
    (told,) = texts_of(server, prompt, "list")
    assert "Skipped: Line 2: idx '_&#95;LNK0__': gt_lyric: " in told  # else the editor shows nothing


def test_a_list_is_not_read_to_validate_it(server: ComfyServer, song_list: Path):
    song_list.write_text("{")
    prompt = batch_prompt(f"lists/{song_list.name}", f"lists/{song_list.stem}")
    assert server.queue(prompt)  # no word of the faulty line yet
    assert "has a faulty line" in refused(server.run(prompt))
