"""v1.5-beta, which has the sizes of other releases and a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import checkpoints, releases

from levo.config import RELEASED_CONFIGS
from levo.files import parts


@pytest.mark.parametrize("like", ["large", "v2-large"])
@pytest.mark.parametrize("folder", ["SongGeneration-v1.5-beta", "songgeneration_v1_5_beta", "v1.5-beta"])
def test_the_version_of_the_beta_is_told_by_its_tables(tmp_path: Path, like: str, folder: str):
    path = releases.write_release(tmp_path / folder, like)
    assert parts.recognise(path).name == "v1.5-beta"
    assert checkpoints.lelm_config(path) == RELEASED_CONFIGS[like]


def test_a_medium_in_the_folder_of_the_beta_is_a_medium(tmp_path: Path):
    path = releases.write_release(tmp_path / "SongGeneration-v1.5-beta", "v2-medium")
    assert parts.recognise(path).name == "v2-medium"
