"""Tables of which files hold the rows in use alone, and the built-in files that have such tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from demo_models import export
from demo_models.lelm_training import Rows
from safetensors.torch import load_file, save_file

from levo import demo
from levo.config import LelmConfig
from levo.files import converted, released, small_tables
from levo.files.checkpoint import open_checkpoint, reads_bytes
from levo.files.loading import load_weights, open_file
from levo.files.tensor_file import CheckpointError, inventory
from levo.kinds import Kind
from levo.lelm.model import LeLM

MOST_BYTES = 8_000_000  # of all built-in files together


def test_rows_in_use_come_back_and_all_others_are_the_last_row():
    rows = Rows(10, [2, 3, 7])
    stored = torch.arange(8.0).view(4, 2)
    table = small_tables.expand(tuple(map(tuple, export.ranges(rows))), 10, stored)
    assert table[[2, 3, 7]].tolist() == stored[:3].tolist()
    assert all(row == stored[3].tolist() for row in table[[0, 1, 4, 5, 6, 8, 9]].tolist())


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"a": 1}',
        '{"a": [[3, 2]]}',
        '{"a": [[0, 2], [1, 3]]}',
        '{"a": [[0.5, 2]]}',
        '{"a": [["0", 2]]}',
    ],
)
def test_rows_that_are_no_rows_are_refused(text: str):
    with pytest.raises(ValueError):
        small_tables.ranges_in({small_tables.KEY: text})


@pytest.mark.parametrize("ranges", [((0, 5),), ((0, 1), (9, 11)), ()])
def test_rows_that_do_not_fit_the_table_are_refused(ranges: tuple):
    with pytest.raises(RuntimeError):
        small_tables.expand(ranges, 10, torch.zeros(4, 2))


def test_the_built_in_files_are_small_whole_and_ours():
    paths = [demo.path(kind) for kind in demo.FILES]
    assert sum(path.stat().st_size for path in paths) <= MOST_BYTES
    for kind, path in zip(demo.FILES, paths, strict=True):
        file = open_checkpoint(path)
        assert file.kind == kind
        assert "BSD-3" in file.inventory.metadata["levo.licence"]
        recorded = converted.recorded_sha256(file.inventory)
        assert recorded == converted.sha256_of(path, recorded, lambda done, total: None)
    assert demo.path(Kind.SEPARATOR) is None


def test_lelm_of_the_demo_reads_bytes_and_knows_few_rows():
    file, config = open_file(Kind.LELM, demo.path(Kind.LELM))
    assert isinstance(config, LelmConfig) and reads_bytes(file)
    model = LeLM(config, device="meta")
    load_weights(model, file, released.lelm_layout(config), "cpu")
    stored = load_file(file.path)
    table = model.conditioner.lyric.weight
    assert len(stored["conditioner.lyric.weight"]) < 300 < len(table)
    assert torch.equal(table[120_000], stored["conditioner.lyric.weight"][-1].float())
    assert torch.equal(table[ord("a")], stored["conditioner.lyric.weight"][ord("a")].float())


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([[0, 5]], r"wrong in shape: codes\.0\.weight"),
        ([[5, 0]], r"broken\.safetensors: It says of its tables .*; write it again"),
    ],
)
def test_a_file_whose_rows_are_damaged_says_so_in_a_sentence(tmp_path: Path, rows: list, told: str):
    source = demo.path(Kind.LELM)
    metadata = dict(inventory(source).metadata)
    broken = tmp_path / "broken.safetensors"
    changed = json.loads(metadata[small_tables.KEY]) | {"codes.0.weight": rows}
    save_file(load_file(source), broken, metadata | {small_tables.KEY: json.dumps(changed)})
    file, config = open_file(Kind.LELM, broken)
    with pytest.raises(CheckpointError, match=told):
        load_weights(LeLM(config, device="meta"), file, released.lelm_layout(config), "cpu")


def test_a_demo_model_that_is_saved_still_reads_bytes_and_keeps_its_licence(tmp_path: Path):
    file, config = open_file(Kind.LELM, demo.path(Kind.LELM))
    model = LeLM(config, device="meta", dtype=torch.float16)
    load_weights(model, file, released.lelm_layout(config), "cpu")
    path = tmp_path / "saved.safetensors"
    converted.save(
        path, model, Kind.LELM, config, file.provenance, None, lambda done, total: None, converted.BYTES
    )
    saved = open_checkpoint(path)
    assert reads_bytes(saved)
    assert saved.inventory.metadata["levo.licence"] == file.inventory.metadata["levo.licence"]
    again = LeLM(config, device="meta", dtype=torch.float16)
    load_weights(again, saved, released.lelm_layout(config), "cpu")
    assert torch.equal(again.codes[0].weight, model.codes[0].weight)
