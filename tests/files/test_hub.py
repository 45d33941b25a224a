"""Downloads against a hub of our own on loopback, with the real huggingface_hub in between."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from support.free_port import free_port
from support.hub_server import COMMIT, PIECE, Hub, files_in, put, sha256_of, stopping
from support.sentences import assert_one_sentence

from levo.files import hub as downloads
from levo.files.catalogue import RemoteFile
from levo.files.hub import DownloadError, Fetched, OnStep

SONGS, WEIGHTS, CONFIG = "someone/Songs", "ckpt/model.safetensors", "config.yaml"
PLACE = PurePosixPath("Songs", WEIGHTS)
PART = PLACE.with_name(PLACE.name + ".part")
CONTENT, OTHER = (save({"a": torch.full((80_000,), value)}) for value in (1.0, 2.0))
SIZE, CHUNK = len(CONTENT), PIECE // 2
TEXT, EDIT = b"max_dur: 150\n", b"max_dur: 270\n"
RIGHT = {"size": len(TEXT), "sha256": sha256_of(TEXT)}
DAMAGED = {
    "empty": b"",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "web page": b"<!DOCTYPE html><html>404</html>",
    "cut off": CONTENT[:1_000],
    "of the right size": OTHER,
}
OLDER = huggingface_hub.__version__.startswith(("0.", "1."))
NEWER_HUB = pytest.mark.skipif(OLDER, reason="huggingface_hub before 2 does it otherwise")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files arrive in several chunks, and no proxy or token of the developer's is used."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_TOKEN", "")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        running.publish(SONGS, WEIGHTS, CONTENT)
        running.publish(SONGS, CONFIG, TEXT, lfs=False)
        yield running


def remote(path: str = WEIGHTS, **known) -> RemoteFile:
    """A file of the catalogue of which only the place is known, unless said otherwise."""
    return RemoteFile(SONGS, **{"revision": "main", "path": path, "size": 1, **known})


def fetch(hub: Hub, folder: Path, *files: RemoteFile, **options: OnStep) -> list[Fetched]:
    on_step = options.get("on_step", lambda *_: None)
    return downloads.fetch(files or [remote()], folder, on_step, hub.url)


def refusal(hub: Hub, folder: Path, *files: RemoteFile, **options: OnStep) -> str:
    """The sentence of a fetch that fails."""
    with pytest.raises(DownloadError) as raised:
        fetch(hub, folder, *files, **options)
    assert_one_sentence(str(raised.value))
    return str(raised.value)


def recorded(folder: Path) -> dict:
    return json.loads((folder / "downloads.json").read_text("utf-8"))[str(PLACE)]


def test_files_land_in_the_layout_of_their_repository(hub: Hub, tmp_path: Path):
    got = fetch(hub, tmp_path, remote(), remote(CONFIG))
    paths = [tmp_path / PLACE, tmp_path / "Songs" / CONFIG]
    assert [(each.path, each.kept) for each in got] == [(path, False) for path in paths]
    assert [path.read_bytes() for path in paths] == [CONTENT, TEXT]
    assert files_in(tmp_path) == ["config.yaml", "downloads.json", "model.safetensors"]


def test_a_download_is_written_down(hub: Hub, tmp_path: Path):
    known = {"repository": SONGS, "revision": COMMIT, "size": SIZE, "sha256": sha256_of(CONTENT)}
    known["mtime_ns"] = fetch(hub, tmp_path)[0].path.stat().st_mtime_ns
    assert recorded(tmp_path) == {**known, "time": recorded(tmp_path)["time"]}


def test_the_time_of_the_first_download_stays(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path)[0].path.unlink()
    record = tmp_path / "downloads.json"
    record.write_text(record.read_text("utf-8").replace(recorded(tmp_path)["time"], "long ago"), "utf-8")
    fetch(hub, tmp_path)
    assert recorded(tmp_path)["time"] == "long ago"


def test_a_branch_is_pinned_to_the_commit_that_was_asked_about(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path)
    assert [request.path for request in hub.requests_by("HEAD")] == [f"/{SONGS}/resolve/main/{WEIGHTS}"]
    assert all(f"/resolve/{COMMIT}/" in request.path for request in hub.requests_by("GET"))


def test_every_chunk_is_counted_towards_all_bytes(hub: Hub, tmp_path: Path):
    seen, total = [], SIZE + len(TEXT)
    fetch(hub, tmp_path, remote(), remote(CONFIG), on_step=lambda *step: seen.append(step))
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert len(set(done)) > SIZE // CHUNK
    assert {step[1] for step in seen} == {total}
    assert seen[0] == (0, total, "model.safetensors")
    assert seen[-1] == (total, total, "config.yaml")


def test_the_token_is_sent_to_the_hub_alone(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(hub, tmp_path)
    sent = [request.headers.get("authorization") for request in hub.requests]
    assert sent == ["Bearer hf_secret", "Bearer hf_secret", None]


def test_a_downloaded_file_is_kept_without_asking_or_reading(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path)
    hub.requests.clear()
    seen = []
    assert fetch(hub, tmp_path, on_step=lambda *step: seen.append(step)) == [
        Fetched(remote(), tmp_path / PLACE, kept=True)
    ]
    assert (hub.requests, seen) == ([], [])


def test_a_file_from_elsewhere_is_checked_once_and_kept(hub: Hub, tmp_path: Path):
    put(tmp_path / PLACE, CONTENT)
    seen, again = [], []
    assert fetch(hub, tmp_path, on_step=lambda *step: seen.append(step))[0].kept
    assert seen[-1] == (SIZE, SIZE, "checking model.safetensors")
    assert fetch(hub, tmp_path, on_step=lambda *step: again.append(step))[0].kept
    assert (again, hub.requests_by("GET")) == ([], [])


def test_a_file_that_changed_since_its_download_is_replaced(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path)
    os.utime(put(tmp_path / PLACE, OTHER), ns=(1, 1))
    assert not fetch(hub, tmp_path)[0].kept
    assert (tmp_path / PLACE).read_bytes() == CONTENT


def test_a_file_of_an_earlier_catalogue_is_replaced(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path)
    hub.publish(SONGS, WEIGHTS, OTHER)
    assert not fetch(hub, tmp_path, remote(size=SIZE, sha256=sha256_of(OTHER)))[0].kept


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_weights_stay_until_the_new_ones_are_complete(hub: Hub, tmp_path: Path, content: bytes):
    put(tmp_path / PLACE, content)
    hub.faults.cdn_status = 500
    refusal(hub, tmp_path)
    assert (tmp_path / PLACE).read_bytes() == content
    hub.faults.cdn_status = 0
    assert not fetch(hub, tmp_path)[0].kept
    assert (tmp_path / PLACE).read_bytes() == CONTENT


def test_damaged_weights_are_replaced_where_nobody_knows_their_hash(hub: Hub, tmp_path: Path):
    hub.publish(SONGS, WEIGHTS, CONTENT, lfs=False)
    put(tmp_path / PLACE, bytes(SIZE))
    assert not fetch(hub, tmp_path)[0].kept


def test_sound_weights_of_another_kind_are_left_alone(hub: Hub, tmp_path: Path):
    content = save({"mine": torch.ones(3)})
    mine = put(tmp_path / PLACE, content)
    sentence = refusal(hub, tmp_path)
    assert sentence == f"{mine} is there already and is another file; move it away to download this one."
    assert (mine.read_bytes(), hub.requests_by("GET")) == (content, [])


TEXTS = [(EDIT, {}, True), (TEXT, RIGHT, True), (EDIT, RIGHT, False), (b"", {}, False)]


@pytest.mark.parametrize(("content", "known", "kept"), TEXTS)
def test_text_is_never_replaced(hub: Hub, tmp_path: Path, content: bytes, known: dict, kept: bool):
    path = put(tmp_path / "Songs" / CONFIG, content)
    if kept:
        assert fetch(hub, tmp_path, remote(CONFIG, **known))[0].kept
    else:
        assert "is another file; move it away" in refusal(hub, tmp_path, remote(CONFIG, **known))
    assert (path.read_bytes(), hub.requests_by("GET")) == (content, [])


@pytest.mark.parametrize(("size", "content"), [(5, CONTENT), (SIZE, OTHER)], ids=["size", "hash"])
def test_another_file_than_published_is_refused(hub: Hub, tmp_path: Path, size: int, content: bytes):
    sentence = refusal(hub, tmp_path, remote(size=size, sha256=sha256_of(content)))
    assert f"{hub.url} offers another {PLACE} than was published ({SIZE:,} bytes" in sentence
    assert f"not {size:,} bytes, sha256 {sha256_of(content)})" in sentence
    assert hub.requests_by("GET") == []


KNOWN = {"size": SIZE, "sha256": sha256_of(CONTENT)}
NOT_CONTENT = (
    f"sent as {PLACE} something with the sha256 {sha256_of(OTHER)} and not {sha256_of(CONTENT)}, so"
)
WRONG = [
    ({}, OTHER, NOT_CONTENT),
    (KNOWN, OTHER, NOT_CONTENT),
    ({}, OTHER * 2, f"sent more than the {SIZE:,} bytes"),
]


@pytest.mark.parametrize(("known", "sent", "phrase"), WRONG)
def test_wrong_bytes_are_thrown_away(hub: Hub, tmp_path: Path, known: dict, sent: bytes, phrase: str):
    hub.faults.instead = sent
    assert phrase in refusal(hub, tmp_path, remote(**known))
    assert files_in(tmp_path) == []


def test_weights_that_changed_on_the_hub_are_not_downloaded_again(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path)[0].path.unlink()
    hub.requests.clear()
    hub.publish(SONGS, WEIGHTS, OTHER)
    sentence = refusal(hub, tmp_path)
    assert "has changed since it was first downloaded here" in sentence
    assert f"{sha256_of(CONTENT)} on {recorded(tmp_path)['time']}, {sha256_of(OTHER)} on " in sentence
    assert hub.requests_by("GET") == []
    (tmp_path / "downloads.json").unlink()
    assert fetch(hub, tmp_path)[0].path.read_bytes() == OTHER


def test_text_that_changed_on_the_hub_is_refused_once_its_hash_is_known(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path, remote(CONFIG))[0].path.unlink()
    hub.publish(SONGS, CONFIG, EDIT, lfs=False)
    assert "has changed since it was first downloaded here" in refusal(hub, tmp_path, remote(CONFIG))
    assert files_in(tmp_path) == ["downloads.json"]


@pytest.mark.parametrize("stop", [OSError("cancel"), DownloadError("cancel"), KeyboardInterrupt()])
def test_a_stop_comes_out_as_it_is_and_the_next_run_goes_on(hub: Hub, tmp_path: Path, stop: BaseException):
    files = (remote(CONFIG), remote())
    with pytest.raises(type(stop)) as raised:
        fetch(hub, tmp_path, *files, on_step=stopping(stop, after=len(TEXT) + 3 * CHUNK))
    assert raised.value is stop
    assert (tmp_path / PART).read_bytes() == CONTENT[: 3 * CHUNK]
    assert not (tmp_path / PLACE).exists()

    hub.requests.clear()
    seen = []
    got = fetch(hub, tmp_path, *files, on_step=lambda *step: seen.append(step))
    assert [each.kept for each in got] == [True, False]
    assert (tmp_path / PLACE).read_bytes() == CONTENT
    assert hub.ranges() == [f"bytes={3 * CHUNK}-"]
    assert {request.headers["accept-encoding"] for request in hub.requests} == {"identity"}
    assert (3 * CHUNK, SIZE, "checking model.safetensors") in seen


@pytest.mark.parametrize("path", [PLACE, PART])
def test_reading_what_is_there_can_be_stopped(hub: Hub, tmp_path: Path, path: PurePosixPath):
    put(tmp_path / path, CONTENT)
    with pytest.raises(RuntimeError):
        fetch(hub, tmp_path, on_step=stopping(RuntimeError()))
    assert (tmp_path / path).read_bytes() == CONTENT


@pytest.mark.parametrize(("part", "asked"), [(CONTENT, []), (CONTENT + b"more", ["bytes=0-"])])
def test_a_whole_part_is_taken_a_larger_one_is_not(hub: Hub, tmp_path: Path, part: bytes, asked: list):
    put(tmp_path / PART, part)
    assert fetch(hub, tmp_path)[0].path.read_bytes() == CONTENT
    assert hub.ranges() == asked


@NEWER_HUB
def test_a_cut_connection_is_taken_up_again_where_it_was_cut(hub: Hub, tmp_path: Path):
    hub.faults.cuts, hub.faults.cut_after = 1, 2 * PIECE
    assert fetch(hub, tmp_path)[0].path.read_bytes() == CONTENT
    assert hub.ranges() == ["bytes=0-", f"bytes={2 * PIECE}-"]


@NEWER_HUB
def test_a_server_that_sends_all_again_is_read_from_the_start(hub: Hub, tmp_path: Path):
    put(tmp_path / PART, OTHER[:CHUNK])
    hub.faults.ignore_range = True
    seen = []
    assert fetch(hub, tmp_path, on_step=lambda *step: seen.append(step))[0].path.read_bytes() == CONTENT
    assert seen[-1] == (SIZE, SIZE, "model.safetensors")


def test_what_came_before_a_cut_for_good_is_kept(hub: Hub, tmp_path: Path):
    def fail_from_now_on(done: int, *_: object) -> None:
        hub.faults.cdn_status = 500 if done else 0

    hub.faults.cuts, hub.faults.cut_after = 1, 2 * PIECE
    refusal(hub, tmp_path, on_step=fail_from_now_on)
    assert (tmp_path / PART).read_bytes() == CONTENT[: 2 * PIECE]


def test_a_download_that_ends_too_early_goes_on_the_next_time(hub: Hub, tmp_path: Path):
    hub.faults.instead = CONTENT[: 2 * PIECE]
    sentence = refusal(hub, tmp_path)
    assert f"{2 * PIECE:,} of {SIZE:,} bytes of {PLACE}, which are kept; queue again" in sentence
    hub.faults.instead = None
    assert fetch(hub, tmp_path)[0].path.read_bytes() == CONTENT


GATED, NO_HUB, FAILED = {"status": 403, "code": "GatedRepo"}, {"no_commit": True}, {"cdn_status": 500}
REFUSALS = {
    "file": ({}, remote("gone"), "has no gone of someone/Songs at revision main; check"),
    "revision": ({}, remote(revision="f" * 40), f"has no {WEIGHTS} of someone/Songs at revision ffff"),
    "repository": ({}, RemoteFile("no/body", "main", "a", 1), "has no a of no/body, or hides it; check"),
    "gated": (
        GATED,
        remote(),
        "accept its licence on https://huggingface.co/someone/Songs and set a token",
    ),
    "no token": ({"status": 401}, remote(), f"answered 401 for {WEIGHTS} of someone/Songs; try again"),
    "hub": ({"status": 500}, remote(), f"answered 500 for {WEIGHTS} of someone/Songs; try again"),
    "CDN": (FAILED, remote(), f"answered 500 for {WEIGHTS} of someone/Songs; try again"),
    "no hub": (NO_HUB, remote(), f"does not answer for {PLACE} as a Hugging Face hub does; check"),
}


@pytest.mark.parametrize(("faults", "file", "phrase"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_explained(hub: Hub, tmp_path: Path, faults: dict, file: RemoteFile, phrase: str):
    vars(hub.faults).update(faults)
    assert phrase in refusal(hub, tmp_path, file)
    assert not (tmp_path / file.local_path).exists() and not (tmp_path / "downloads.json").exists()


def test_a_hub_that_is_not_there_is_named(tmp_path: Path):
    nowhere = Hub(url=f"http://127.0.0.1:{free_port()}")
    assert f"{nowhere.url} cannot be reached" in refusal(nowhere, tmp_path)


@NEWER_HUB
def test_offline_mode_keeps_what_is_there(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fetch(hub, tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(hub, tmp_path)[0].kept
    sentence = refusal(hub, tmp_path, remote(CONFIG))
    assert sentence.startswith("HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set; unset it and restart")


def test_a_disk_that_is_too_small_is_said_before_the_download(hub: Hub, tmp_path: Path):
    hub.publish(SONGS, WEIGHTS, CONTENT, size=10**18)
    sentence = refusal(hub, tmp_path)
    assert sentence.startswith(f"1000000001.0 GB are needed in {tmp_path} and ")
    free = float(sentence.split(" and ")[1].split()[0])
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 1e9, rel=0.2)
    assert hub.requests_by("GET") == []


def test_a_part_needs_no_more_room(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=downloads.MARGIN + SIZE - CHUNK)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    put(tmp_path / PART, CONTENT[: CHUNK - 1])
    assert "1.0 GB are needed" in refusal(hub, tmp_path)
    put(tmp_path / PART, CONTENT[:CHUNK])
    assert not fetch(hub, tmp_path)[0].kept


@pytest.mark.parametrize("obstacle", ["", "Songs", "Songs/ckpt"])
def test_a_folder_that_cannot_be_made_is_named(hub: Hub, tmp_path: Path, obstacle: str):
    in_the_way = put(tmp_path / "levo" / obstacle, b"")
    sentence = refusal(hub, tmp_path / "levo")
    assert sentence.startswith(str(in_the_way)) and "cannot be read or written" in sentence


def test_a_disk_that_fails_is_not_taken_for_the_connection(hub: Hub, tmp_path: Path):
    import resource  # which Windows has not

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * CHUNK, limits[1]))
    try:
        sentence = refusal(hub, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sentence.startswith(f"{tmp_path / PART} cannot be read or written (File too large)")


@pytest.mark.parametrize("told", [b"[" * 100_000, b'{"error":' * 100_000, b'{"error": 5}', b"{"])
def test_an_explanation_of_the_hub_that_cannot_be_read_is_a_sentence(hub: Hub, tmp_path: Path, told: bytes):
    hub.faults.cdn_status, hub.faults.explanation = 500, told
    assert " answered " in refusal(hub, tmp_path)


def test_a_place_outside_the_folder_is_refused_without_a_request(hub: Hub, tmp_path: Path):
    assert "would leave" in refusal(hub, tmp_path / "levo", remote("../../model.safetensors"))
    assert hub.requests == []


@pytest.mark.parametrize("text", ["", "[]", '{"a": 5}', '{"a": {}}', "[" * 100_000, '{"a":' * 100_000])
def test_a_record_that_cannot_be_read_is_named(hub: Hub, tmp_path: Path, text: str):
    record = put(tmp_path / "downloads.json", text.encode())
    sentence = refusal(hub, tmp_path)
    assert sentence == f"{record} cannot be understood; delete it, and files are checked anew."
