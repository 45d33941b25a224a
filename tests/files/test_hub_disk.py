"""Downloads onto disks that fill up, are shared with another process, or cannot hold a name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from support.hub_server import PIECE, Hub, put
from support.sentences import assert_one_sentence
from support.small_disk import fill, small_disk

from levo.files import atomic
from levo.files import hub as downloads
from levo.files.catalogue import RemoteFile
from levo.files.hub import DownloadError, Fetched, OnStep

SONGS, WEIGHTS = "someone/Songs", "ckpt/model.safetensors"
PLACE = PurePosixPath("Songs", WEIGHTS)
PART = PLACE.with_name(PLACE.name + ".part")
CONTENT, CHUNK = save({"a": torch.full((80_000,), 1.0)}), PIECE // 2


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with Hub() as running:
        running.publish(SONGS, WEIGHTS, CONTENT)
        yield running


def remote(path: str = WEIGHTS) -> RemoteFile:
    return RemoteFile(SONGS, "main", path, 1)


def fetch(hub: Hub, folder: Path, file: RemoteFile, on_step: OnStep = lambda *_: None) -> list[Fetched]:
    return downloads.fetch([file], folder, on_step, hub.url)


def refusal(hub: Hub, folder: Path, file: RemoteFile, on_step: OnStep = lambda *_: None) -> str:
    """The sentence of a fetch that fails."""
    with pytest.raises(DownloadError) as raised:
        fetch(hub, folder, file, on_step)
    assert_one_sentence(str(raised.value))
    return str(raised.value)


def test_a_disk_that_fills_meanwhile_is_told_and_what_has_come_is_kept(hub: Hub, tmp_path: Path):
    def fill_up(done: int, *_: object) -> None:
        if done == 0:
            fill(disk, 2 * CHUNK)

    with small_disk(tmp_path / "disk") as disk, pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads, "MARGIN", 0)
        sentence = refusal(hub, disk, remote(), fill_up)
        assert "(No space left on device): 254.5 kB are needed and 0.0 kB are free; make room." in sentence
        (disk / "filler").unlink()
        assert fetch(hub, disk, remote())[0].path.read_bytes() == CONTENT
        assert len(hub.ranges()) == 2 and hub.ranges()[1] != "bytes=0-"


def test_a_download_that_another_process_is_making_is_left_alone(hub: Hub, tmp_path: Path):
    put(tmp_path / PART, CONTENT[:CHUNK])
    with atomic.locked(tmp_path / PART):
        assert "is being written by another program; wait" in refusal(hub, tmp_path, remote())
    assert (tmp_path / PART).read_bytes() == CONTENT[:CHUNK]


@pytest.mark.parametrize("name", ["a\0b", "\ud83d", "x" * 300, "a/" * 40 + "b"])
def test_a_place_that_no_disk_can_hold_is_refused_without_a_request(hub: Hub, tmp_path: Path, name: str):
    assert "cannot be the name of a file" in refusal(hub, tmp_path, remote(name))
    assert hub.requests == [] and list(tmp_path.iterdir()) == []
