"""Weight files are read whole, without running what a pickle holds; broken ones are named."""

from __future__ import annotations

import hashlib
import os
import pathlib
import pickletools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import odd_files

from levo.files import tensor_file, torch_zip
from levo.files.tensor_file import CheckpointError

CONTENT = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.arange(3)}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.safetensors", lambda path: save_file(CONTENT, path)),
        ("x.pt", lambda path: torch.save(CONTENT, path)),
        ("x.ckpt", lambda path: torch.save({"state_dict": CONTENT, "epoch": 3}, path)),
    ],
)
def test_every_kind_of_file_reads_to_its_tensors(tmp_path, name, write):
    write(tmp_path / name)
    found = tensor_file.read(tmp_path / name)
    assert found.keys() == CONTENT.keys()
    assert all(torch.equal(found[key], CONTENT[key]) for key in CONTENT)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    sprung = tmp_path / "sprung"
    torch.save({"state_dict": CONTENT, "trap": Trap(sprung)}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        tensor_file.read(tmp_path / "model.pt")
    assert not sprung.exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert sprung.exists()  # or the trap would prove nothing


def test_a_pickle_is_gone_through_once_however_often_its_file_is_opened(tmp_path, monkeypatch):
    gone_through, genops = [], pickletools.genops
    monkeypatch.setattr(pickletools, "genops", lambda pickled: gone_through.append(1) or genops(pickled))
    torch.save({"once": torch.zeros(1)}, tmp_path / "model.pt")
    for read in (tensor_file.inventory, tensor_file.read, tensor_file.inventory):
        read(tmp_path / "model.pt")
    assert gone_through == [1]


def test_a_pickle_that_takes_the_place_of_a_good_one_is_looked_at(tmp_path):
    path = tmp_path / "model.pt"
    for pickled in (b"\x80\x02}.", b"\x80\x02cbuiltins\nbytearray\nK\x01\x85R."):
        odd_files.zipped(path, pickled)
        os.utime(path, (1, 1))
        problem = torch_zip.find_problem(path)
    assert problem == "calls what no checkpoint needs"


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt"])
def test_a_truncated_file_is_named(tmp_path, name):
    path = tmp_path / name
    save_file(CONTENT, path) if name.endswith("safetensors") else torch.save(CONTENT, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError) as error:
        tensor_file.read(path)
    assert f"{path.parent.name}/{path.name}" in str(error.value)


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=name):
        tensor_file.read(tmp_path / name)


def test_the_hash_of_a_file_is_the_known_one_and_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_file, "BLOCK", 10)
    path, steps = tmp_path / "x.pt", []
    path.write_bytes(b"abc" * 9)
    found = tensor_file.sha256_of(path, lambda *step: steps.append(step))
    assert found == hashlib.sha256(b"abc" * 9).hexdigest()
    assert steps == [(10, 27), (20, 27), (27, 27)]
