"""A list that the command goes through: what is made, passed over, saved, recorded, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch
from support.listed_songs import lines
from support.small_disk import SIZE, small_disk
from support.written_songs import ScriptedBackend, run_with, write_song_list

from levo.batch.song_list import SongListError
from levo.command.job import SEPARATE, WAV, Engine, Files, SongOptions
from levo.command.run import ALL_MADE, LOCK, SOME_FAILED
from levo.files.claims import locked


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_songs_are_saved_and_recorded_and_made_once(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one", "two"), tmp_path / "made" / "here"
    assert run_with(ScriptedBackend(), songs, out, SongOptions(max_seconds=2)) == ALL_MADE
    assert names(out) == ["one.flac", "results.jsonl", "two.flac"]
    assert (out / "two.flac").read_text() == "two 0 mix "
    first, _ = lines(out)
    assert (first["idx"], first["file"], first["seconds"]) == ("one", "one.flac", 1.0)
    assert first["settings"]["lyrics"] == "[verse] Hello there."
    assert (first["settings"]["max_seconds"], first["settings"]["vae"]) == (2, "tiny")
    again = ScriptedBackend(text="anew")
    assert run_with(again, songs, out) == ALL_MADE
    assert again.engine is None  # no model is loaded for nothing


def test_what_was_stopped_goes_on(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one", "two", "three"), tmp_path / "out"

    class Interrupted(ScriptedBackend):
        def songs(self, *given):
            yield next(super().songs(*given))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with(Interrupted(), songs, out)
    assert names(out) == ["one.flac", "results.jsonl"]
    rest = ScriptedBackend()
    assert run_with(rest, songs, out) == ALL_MADE
    assert rest.requested == ["two", "three"]


def test_a_song_that_cannot_be_made_is_a_line_and_the_others_are_made(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one", "two", "three"), tmp_path / "out"
    assert run_with(ScriptedBackend(failing=["two"]), songs, out) == SOME_FAILED
    assert names(out) == ["one.flac", "results.jsonl", "three.flac"]
    (failed,) = [line for line in lines(out) if "error" in line]
    assert (failed["idx"], failed["line"], failed["error"]) == ("two", 2, "It failed.")
    passing = ScriptedBackend()
    assert run_with(passing, songs, out, skip_faulty=True) == SOME_FAILED
    assert passing.requested == []
    trying = ScriptedBackend()
    assert run_with(trying, songs, out) == ALL_MADE
    assert trying.requested == ["two"]
    assert [line for line in lines(out) if "error" in line] == []


def test_a_faulty_line_is_named_and_nothing_is_made(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one"), tmp_path / "out"
    songs.write_text(songs.read_text() + '{"idx": "two"}\n')
    with pytest.raises(SongListError, match=r"(?s)--skip-faulty.*Line 2: .*gt_lyric is missing"):
        run_with(ScriptedBackend(), songs, out)
    assert not out.exists()
    assert run_with(ScriptedBackend(), songs, out, skip_faulty=True) == SOME_FAILED
    assert names(out) == ["one.flac", "results.jsonl"]


def test_a_folder_has_one_run_at_a_time(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one"), tmp_path / "out"
    out.mkdir()
    with locked(out / LOCK), pytest.raises(SongListError, match="Another levo makes songs in"):
        run_with(ScriptedBackend(), songs, out)
    assert run_with(ScriptedBackend(), songs, out) == ALL_MADE


def test_tracks_lie_beside_their_song_and_are_replaced_with_it(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one", "one_vocals"), tmp_path / "out"
    tracks, options = ("mix", "vocals", "accompaniment"), SongOptions(kind=SEPARATE)
    assert run_with(ScriptedBackend(tracks=tracks), songs, out, options) == ALL_MADE
    first, second = lines(out)
    assert first["file"] == "one.flac"
    assert second["file"] == "one_vocals (2).flac"  # the name is that of the first song's track
    assert first["stems"] == {"vocals": "one_vocals.flac", "accompaniment": "one_accompaniment.flac"}
    assert (out / "one_vocals.flac").read_text() == "one 0 vocals "
    before = names(out)
    assert (
        run_with(ScriptedBackend(tracks=tracks, text="anew"), songs, out, options, again=True) == ALL_MADE
    )
    assert names(out) == before
    assert (out / first["stems"]["accompaniment"]).read_text() == "one 0 accompaniment anew"


def test_each_take_has_a_file(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one"), tmp_path / "out"
    assert run_with(ScriptedBackend(takes=3), songs, out, SongOptions(takes=3, format=WAV)) == ALL_MADE
    assert names(out) == ["one (2).wav", "one (3).wav", "one.wav", "results.jsonl"]
    assert [line["seed"] for line in lines(out)] == [0, 1, 2]
    assert run_with(ScriptedBackend(), songs, out, SongOptions(takes=3)) == ALL_MADE  # as WAV files, too
    assert len(names(out)) == 4


def test_only_so_many_songs_a_run(tmp_path: Path):
    songs, out = write_song_list(tmp_path, "one", "two", "three"), tmp_path / "out"
    few = ScriptedBackend()
    assert run_with(few, songs, out, most=2) == ALL_MADE
    assert few.requested == ["one", "two"]


def test_prompt_audio_wants_encoders_unless_all_is_tiny(tmp_path: Path):
    noise = torch.rand(48_000, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    soundfile.write(tmp_path / "clip.wav", noise.numpy(), 48_000)
    songs = tmp_path / "songs.jsonl"
    songs.write_text('{"idx": "one", "gt_lyric": "[verse] La", "prompt_audio_path": "clip.wav"}')
    absent = {
        "--style-encoder and --track-encoder and --separator": Files(songs, songs, songs),
        "--style-encoder and --separator": Files(songs, songs, songs, track_encoder=songs),
        "--track-encoder": Files(songs, None, songs, songs, separator=songs),
    }
    for options, weights in absent.items():
        with pytest.raises(ValueError, match=f"has prompt audio, .*; give files as {options}, too"):
            run_with(ScriptedBackend(), songs, tmp_path / "out", engine=Engine(weights))
    hearing = ScriptedBackend()
    assert run_with(hearing, songs, tmp_path / "out") == ALL_MADE
    assert hearing.engine.encodes_clips
    assert lines(tmp_path / "out")[0]["settings"]["prompt_audio"] == "clip.wav"


def test_a_full_disk_ends_the_run_and_leaves_no_half_file(tmp_path: Path):
    songs = write_song_list(tmp_path, "one", "two")
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(SongListError, match="one' cannot be saved in .*No space left"):
            run_with(ScriptedBackend(text="x" * SIZE), songs, disk)
        assert names(disk) == []
        assert run_with(ScriptedBackend(), songs, disk) == ALL_MADE


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="has no devices as files")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_list_without_end_is_not_read(tmp_path: Path, device: str):
    with pytest.raises(SongListError, match=f"The list '?{device}'? is a device; name a"):
        run_with(ScriptedBackend(), Path(device), tmp_path / "out")


def test_a_list_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(SongListError, match=r"cannot be read \(No such file"):
        run_with(ScriptedBackend(), tmp_path / "gone.jsonl", tmp_path / "out")
