"""What the published code computes: every golden file passes, and the runner can tell a wrong one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import golden_outputs as golden

SMALL = "lelm_v2_all_end"


def run_main(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["golden_outputs", str(folder)])
    return golden.main()


def test_every_kind_of_golden_file_is_run():
    stems = {path.stem for path in golden.files_in(golden.GOLDEN)}
    kinds = {"lelm_v1_en_prompt", "lelm_v2_zh", "renderer", "vae", "song_430", "song_1310", "tokens"}
    kinds |= {"encoder", "encoder_clip", "song_prompt_820"}
    assert kinds <= stems


@pytest.mark.parametrize("path", golden.files_in(golden.GOLDEN), ids=lambda path: path.stem)
def test_golden_file_passes(path):
    with torch.inference_mode():
        results = list(golden.run_file(path, golden.GOLDEN))
    assert results
    assert not [str(result) for result in results if not result.passed]


@pytest.mark.usefixtures("one_thread")
def test_an_unchanged_file_passes_and_a_changed_token_fails(tmp_path, monkeypatch, capsys):
    shutil.copy(golden.GOLDEN / f"{SMALL}.safetensors", tmp_path)
    assert run_main(monkeypatch, tmp_path) == 0
    assert "FAIL" not in capsys.readouterr().out

    file = golden.GoldenFile(tmp_path / f"{SMALL}.safetensors")
    file.tensors["tokens"][0, 1, 2] += 1
    save_file(file.tensors, tmp_path / f"{SMALL}.safetensors", file.meta)
    assert run_main(monkeypatch, tmp_path) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert len(failed) == 1
    assert failed[0].startswith(f"{SMALL}: FAIL tokens")


def test_an_empty_folder_is_a_failure(tmp_path, monkeypatch):
    assert run_main(monkeypatch, tmp_path) == 1
