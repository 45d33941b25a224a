"""LeLM in GGUF files of K types: their blocks ask for rows of 256, so its tables are wide and slow to make.

All other types and models are in tests/files/test_gguf.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.gguf_models import Written, write_lelm
from support.kquants import ERROR
from support.peak_memory import peak
from support.small_files import assert_layers_round_floats, assert_loaded_as_floats, assert_near
from torch import nn

from levo.files import parts
from levo.files.checkpoint import open_checkpoint
from levo.files.listing import Listing
from levo.kinds import Kind
from levo.layers import int4, int8


@pytest.fixture(scope="module", params=["Q6_K", "Q5_K_M", "Q4_K_M"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder: Path = tmp_path_factory.mktemp("gguf")
    return write_lelm(folder / f"levo2-{request.param}.gguf", request.param)


def test_a_file_is_loaded_as_the_floats_that_it_stands_for(file: Written):
    assert_loaded_as_floats(file)


def test_a_file_is_near_to_what_it_was_made_of(file: Written):
    assert_near(file, ERROR[file.path.stem.split("-")[1].removesuffix("_M")])


@pytest.mark.parametrize("layer", [int8.Int8Linear, int4.Int4Linear])
def test_layers_in_few_bits_round_the_same_floats(file: Written, layer: type[nn.Module]):
    assert_layers_round_floats(file, layer)


def test_a_file_is_found_under_any_name(file: Written, tmp_path: Path):
    (tmp_path / "thing.gguf").symlink_to(file.path)
    (found,) = Listing().files([tmp_path])
    kind = file.path.stem.split("-")[1]
    assert found.part == parts.Part(Kind.LELM, f"thing {kind}", file.path.stat().st_size)


def test_a_model_is_loaded_beside_one_piece_of_a_tensor(file: Written):
    model = file.model(device="meta", dtype=torch.float16)
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    opened, mapped = open_checkpoint(file.path), 2 * file.path.stat().st_size  # counted, and no memory
    most = peak(lambda: opened.load_into(model, file.layout, "cpu")) - mapped
    assert most < 1.03 * size  # one table as floats of four bytes would be two thirds more
