"""Recorded hashes: where one is found, and what is said of a file that has it or has not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.sentences import assert_one_sentence

from levo import tiny
from levo.files import catalogue, converted, hashes
from levo.files.catalogue import RemoteFile
from levo.files.converted import Provenance
from levo.files.tensor_file import CheckpointError, inventory, read, sha256_of
from levo.kinds import Kind
from levo.vae.oobleck import Vae


def ignore(done: int, total: int) -> None:
    """Progress of a hash that nobody watches."""


def saved(path: Path) -> Path:
    """A converted VAE."""
    model = Vae(tiny.VAE)
    tiny.init_weights(model)
    converted.save(path, model, Kind.VAE, tiny.VAE, Provenance("a", ""), torch.float16, ignore)
    return path


def other(path: Path, number: float = 1.0) -> Path:
    """A file that is none of ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": torch.full((1000,), number)}, path)
    return path


def record(root: Path, path: Path, **changes: object) -> None:
    """What LeVo Download Models writes down of a file."""
    entry = {"repository": "a/b", "revision": "0", "size": 1, "mtime_ns": 0, "time": "now"}
    entry |= {"sha256": sha256_of(path, ignore), **changes}
    (root / "downloads.json").write_text(json.dumps({path.relative_to(root).as_posix(): entry}), "utf-8")


def refusal(path: Path, *roots: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        hashes.verify(path, roots, ignore)
    assert_one_sentence(str(raised.value))
    return str(raised.value)


# Files of our own ----------------------------------------------------------------------------------------


def test_a_saved_file_carries_its_own_hash(tmp_path: Path):
    path = saved(tmp_path / "mine.safetensors")
    assert hashes.verify(path, [tmp_path], ignore) == (
        f"{tmp_path.name}/mine.safetensors was checked against the hash it was saved with: equal."
    )
    said = inventory(path).metadata["levo.sha256"]
    zeros = path.read_bytes().replace(said.encode(), b"0" * 64)
    assert hashlib.sha256(zeros).hexdigest() == said


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.7, 1.0])
def test_any_bit_that_changed_is_seen(tmp_path: Path, share: float):
    """In the header, too, where the file still can be read."""
    path = saved(tmp_path / "mine.safetensors")
    data = bytearray(path.read_bytes())
    place = data.index(b"Tencent") if share < 0.001 else round((len(data) - 1) * share)
    data[place] ^= 1
    path.write_bytes(data)
    try:
        inventory(path)
    except CheckpointError:
        pytest.skip("a broken header is told anyway")
    assert "is not as recorded (its sha256 is " in refusal(path)
    assert "and the hash it was saved with says " in refusal(path)


def test_zeros_in_the_middle_are_seen(tmp_path: Path):
    path = saved(tmp_path / "mine.safetensors")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 512] = bytes(512)
    path.write_bytes(data)
    assert refusal(path)


def test_a_copy_under_another_name_is_equal(tmp_path: Path):
    path = saved(tmp_path / "mine.safetensors")
    assert hashes.verify(path.rename(tmp_path / "yours.safetensors"), [], ignore).endswith(": equal.")


@pytest.mark.parametrize("said", [None, "", "0" * 63, "g" * 64, "A" * 64])
def test_a_saved_file_of_an_earlier_version_is_not_checked(tmp_path: Path, said: str | None):
    path = saved(tmp_path / "mine.safetensors")
    tensors = {name: tensor.clone() for name, tensor in read(path).items()}
    metadata = inventory(path).metadata
    del metadata["levo.sha256"]
    save_file(tensors, path, metadata if said is None else {**metadata, "levo.sha256": said})
    assert hashes.verify(path, [tmp_path], ignore) == (
        f"Not checked: no hash is recorded for {tmp_path.name}/mine.safetensors."
    )


# Released files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["model.pt", "SongGeneration-base/model.pt", "a/b/雪/c.pt"])
def test_a_download_is_checked_against_the_record_beside_it(tmp_path: Path, place: str):
    path = other(tmp_path / "levo" / place)
    record(tmp_path / "levo", path)
    roots = [tmp_path / "other", tmp_path / "levo"]
    assert hashes.verify(path, roots, ignore).endswith("was checked against downloads.json: equal.")
    other(path, 2.0)
    assert " and downloads.json says " in refusal(path, *roots)
    assert "no hash is recorded" in hashes.verify(path, roots[:1], ignore)


@pytest.mark.parametrize("sha256", [None, 5, "", "x" * 64, ["a"]])
def test_a_record_without_a_hash_is_none(tmp_path: Path, sha256: object):
    path = other(tmp_path / "model.pt")
    record(tmp_path, path, sha256=sha256)
    assert "no hash is recorded" in hashes.verify(path, [tmp_path], ignore)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\0"])
def test_a_record_that_cannot_be_read_is_told(tmp_path: Path, text: str):
    path = other(tmp_path / "model.pt")
    (tmp_path / "downloads.json").write_text(text, "utf-8")
    assert "cannot be understood; delete it" in refusal(path, tmp_path)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is published with a hash, at its place."""
    path = other(tmp_path / "Songs" / "ckpt" / "model.ckpt")
    known = RemoteFile("a/Songs", "main", "ckpt/model.ckpt", path.stat().st_size, sha256_of(path, ignore))
    unknown = RemoteFile("a/Others", "main", "model.pt", 1)
    monkeypatch.setattr(catalogue, "FILES", (unknown, known))
    return path


def test_a_file_of_the_catalogue_is_checked_against_what_is_published(tmp_path: Path, published: Path):
    assert hashes.verify(published, [tmp_path], ignore).endswith(
        "was checked against the published hash of a/Songs: equal."
    )
    elsewhere = other(tmp_path / "vae" / "model.ckpt")
    assert "equal" in hashes.verify(elsewhere, [tmp_path], ignore)
    torch.save({"weight": torch.zeros(5000)}, published)  # of another size, but at this place
    assert " and the published hash of a/Songs says " in refusal(published, tmp_path)


@pytest.mark.parametrize("place", ["model.pt", "a/mine.ckpt", "a/model.ckpt"])
def test_a_file_that_only_resembles_a_published_one_is_not_checked(tmp_path, published, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    torch.save({"weight": torch.zeros(5000)}, path)
    assert "Not checked: no hash is recorded for" in hashes.verify(path, [tmp_path], ignore)


def test_the_catalogue_is_whole():
    tables = (catalogue.RELEASES, catalogue.GGUF_LELM, catalogue.GGUF_RENDERER, catalogue.GGUF_VAE)
    known = [file for table in tables for files in table.values() for file in files]
    known += [*catalogue.RENDERER, *catalogue.VAE, *catalogue.MIXED_ENCODER, *catalogue.SEPARATOR]
    known += catalogue.PROMPT_LIBRARY
    assert set(catalogue.FILES) == set(known) and len(catalogue.FILES) == len(known) == 37
    assert sum(file.sha256 is not None for file in catalogue.FILES) == 25
    assert len({file.local_path for file in catalogue.FILES}) == len(known)


def test_no_address_is_the_one_that_is_gone():
    assert not [file for file in catalogue.FILES if "ailab" in file.repository]
    (library,) = catalogue.PROMPT_LIBRARY
    assert library.page == "https://huggingface.co/spaces/tencent/SongGeneration"
    assert str(library.local_path) == "SongGeneration/tools/new_prompt.pt"


# Bytes, and what the hashes begin with, as others found them (model cards, converters' reports).
GGUF = {
    "LeVo2-v2-medium-F16.gguf": (None, "b765d0e7"),
    "LeVo2-v2-medium-Q8_0.gguf": (2_909_949_120, "706cd0b3"),
    "LeVo2-v2-medium-Q6_K.gguf": (2_249_071_968, "06304f3f"),
    "LeVo2-v2-medium-Q5_K_M.gguf": (2_077_777_248, "fc861609"),
    "LeVo2-v2-medium-Q4_K_M.gguf": (1_916_558_688, "9412bb0e"),
    "LeVo2-v2-large-F16.gguf": (9_986_305_440, "368cba66"),
    "LeVo2-v2-large-Q8_0.gguf": (5_310_562_912, "0b17c5d6"),
    "LeVo2-v2-large-Q6_K.gguf": (4_102_556_992, "5f46280c"),
    "LeVo2-v2-large-Q5_K_M.gguf": (3_761_638_720, "21c0d636"),
    "LeVo2-v2-large-Q4_K_M.gguf": (3_440_774_464, "c0feff05"),
    "LeVo2-v2-flow-F32.gguf": (None, "a8cf50db"),
    "LeVo2-v2-flow-Q8_0.gguf": (835_813_888, "9e27b8d0"),
    "LeVo2-v2-flow-Q6_K.gguf": (707_404_288, "a3579de6"),
    "LeVo2-v2-flow-Q5_K_M.gguf": (653_548_032, "0c36bdda"),
    "LeVo2-v2-flow-Q4_K_M.gguf": (602_860_032, "08cc2159"),
    "LeVo2-v2-vae-F32.gguf": (337_596_448, "26f9ea95"),
    "LeVo2-v2-vae-F16.gguf": (168_805_120, "23e5b115"),
}


def test_small_files_are_those_that_are_published():
    small = {file.path: file for file in catalogue.FILES if file.path.endswith(".gguf")}
    assert small.keys() == GGUF.keys()
    for name, (size, begins) in GGUF.items():
        assert size in (None, small[name].size)
        assert small[name].sha256.startswith(begins) and len(small[name].sha256) == 64
        assert small[name].revision.startswith("9d7b5746")


def test_copies_are_the_same_files_at_the_same_places():
    copied = {
        repository: [
            (file, copy)
            for file in catalogue.FILES
            if (copy := catalogue.copy_in(repository, file)) is not file
        ]
        for repository in catalogue.COPIES
    }
    for repository, pairs in copied.items():
        for file, copy in pairs:
            assert copy.repository == repository and copy.revision == "main"
            assert (copy.sha256, copy.size, copy.local_path) == (file.sha256, file.size, file.local_path)
            assert file.sha256 is not None  # nothing else could tell
    assert [copy.path for _, copy in copied["tencent/SongGeneration"]] == [
        "songgeneration_v2_medium/config.yaml",
        "songgeneration_v2_medium/model.pt",
        "songgeneration_v2_large/config.yaml",
        "songgeneration_v2_large/model.pt",
        "ckpt/vae/autoencoder_music_1320k.ckpt",
        "ckpt/vae/stable_audio_1920_vae.json",
    ]
    assert [copy.path for _, copy in copied["eastmoe/SongGeneration"]] == [
        "SongGeneration-v2-large/config.yaml",
        "SongGeneration-v2-large/model.pt",
        "common/model_septoken/model_2.safetensors",
        "common/vae/autoencoder_music_1320k.ckpt",
        "common/vae/stable_audio_1920_vae.json",
    ]


# Progress ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [True, False])
def test_progress_goes_to_the_end_and_a_stop_comes_out(tmp_path: Path, own: bool):
    path = saved(tmp_path / "a.safetensors") if own else other(tmp_path / "a.pt")
    record(tmp_path, path)
    steps: list[tuple[int, int]] = []
    hashes.verify(path, [tmp_path], lambda *step: steps.append(step))
    assert steps[-1] == (path.stat().st_size, path.stat().st_size)

    def stop(done: int, total: int) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        hashes.verify(path, [tmp_path], stop)


def test_a_damaged_file_is_told_as_ever(tmp_path: Path):
    path = saved(tmp_path / "mine.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert "was cut off" in refusal(path)
