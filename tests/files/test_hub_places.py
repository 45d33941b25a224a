"""Downloads from Spaces, and of copies that other repositories have; see test_hub.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import torch
from safetensors.torch import save
from support.hub_server import Hub, files_in, put, sha256_of
from support.sentences import assert_one_sentence

from levo.files import hub as downloads
from levo.files.catalogue import RemoteFile
from levo.files.hub import DownloadError

CONTENT, OTHER = (save({"a": torch.full((1_000,), value)}) for value in (1.0, 2.0))
PLACE = PurePosixPath("Songs-Runtime/ckpt/model.safetensors")
COPY = RemoteFile(
    "others/Songs", "main", "common/model.safetensors", len(CONTENT), sha256_of(CONTENT), place=PLACE
)
LIBRARY = RemoteFile("someone/Songs", "main", "tools/styles.pt", 5, sha256_of(b"hello"), space=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_TOKEN", "")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        running.publish("others/Songs", COPY.path, CONTENT)
        running.publish("spaces/someone/Songs", LIBRARY.path, b"hello")
        yield running


def fetch(hub: Hub, folder: Path, *files: RemoteFile) -> list[Path]:
    return [each.path for each in downloads.fetch(files, folder, lambda *_: None, hub.url)]


def refusal(hub: Hub, folder: Path, *files: RemoteFile) -> str:
    with pytest.raises(DownloadError) as raised:
        fetch(hub, folder, *files)
    assert_one_sentence(str(raised.value))
    return str(raised.value)


def test_a_file_of_a_space_is_asked_for_there(hub: Hub, tmp_path: Path):
    (path,) = fetch(hub, tmp_path, LIBRARY)
    assert path == tmp_path / "Songs" / "tools" / "styles.pt" and path.read_bytes() == b"hello"
    assert {request.path.removeprefix("/cdn")[:22] for request in hub.requests} == {
        "/spaces/someone/Songs/"
    }


def test_a_gated_space_is_named_with_its_own_page(hub: Hub, tmp_path: Path):
    hub.faults.status, hub.faults.code = 403, "GatedRepo"
    assert "https://huggingface.co/spaces/someone/Songs and set" in refusal(hub, tmp_path, LIBRARY)


def test_a_copy_lands_where_the_first_would_and_is_kept_whoever_is_asked_next(hub: Hub, tmp_path: Path):
    assert fetch(hub, tmp_path, COPY) == [tmp_path / PLACE]
    hub.requests.clear()
    first = RemoteFile("someone/Songs-Runtime", "f" * 40, "ckpt/model.safetensors", COPY.size, COPY.sha256)
    assert fetch(hub, tmp_path, first) == fetch(hub, tmp_path, COPY) == [tmp_path / PLACE]
    assert hub.requests == []


def test_what_came_of_the_first_goes_on_from_a_copy(hub: Hub, tmp_path: Path):
    put(tmp_path / f"{PLACE}.part", CONTENT[:2_000])
    (path,) = fetch(hub, tmp_path, COPY)
    assert path.read_bytes() == CONTENT
    assert hub.ranges() == ["bytes=2000-"]


@pytest.mark.parametrize("content", [OTHER, CONTENT[:-4], CONTENT + b"more"])
def test_a_copy_that_is_another_file_is_refused_before_a_byte_is_fetched(hub, tmp_path, content):
    hub.publish("others/Songs", COPY.path, content)
    sentence = refusal(hub, tmp_path, COPY)
    assert "offers another common/model.safetensors in others/Songs than was published" in sentence
    assert sentence.endswith("; take it from another source.")
    assert hub.requests_by("GET") == [] and files_in(tmp_path) == []


def test_a_copy_that_turns_out_to_be_another_file_leaves_nothing(hub: Hub, tmp_path: Path):
    hub.publish("others/Songs", COPY.path, CONTENT, lfs=False)  # whose hash the hub does not say
    hub.faults.instead = OTHER
    assert "so it was thrown away" in refusal(hub, tmp_path, COPY)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("repository", "path"), [("others/Songs", "gone.safetensors"), ("no/body", "a.safetensors")]
)
def test_a_copy_that_is_gone_is_to_be_taken_from_elsewhere(hub, tmp_path, repository, path):
    gone = RemoteFile(repository, "main", path, COPY.size, COPY.sha256, place=PLACE)
    assert "take it from another source" in refusal(hub, tmp_path, gone)
