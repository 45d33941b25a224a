"""A disk that fills up while something is saved: it is whole or not there, and a sentence says so.

Needs the right to mount a small file system; without it nothing is tried.
"""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import folder_paths
import torch
from safetensors import safe_open

from attack.judge import Findings, LeftBehind, Silent, progress

SIZE = 4_000_000  # bytes of the disk
FREE = (0, 1, 100, 4096, 8192, 20_000, 100_000, 400_000)  # bytes left when something is saved


def main() -> None:
    """Save each kind of file on a disk with so much left."""
    findings, disk = Findings("disk"), nodes.ROOT / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        progress(f"no disk to fill: {error}")
        findings.report()
        return
    savers = _savers()  # what they save is made while there is room
    try:
        folder_paths.set_output_directory(str(disk))
        folder_paths.folder_names_and_paths["levo"][0][:] = [str(disk / "models")]
        for name, save in savers.items():
            for free in FREE:
                findings.attempt(f"{name}, {free} bytes free", partial(_full, disk, free, save))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    findings.report()


def _savers() -> dict[str, Callable[[], Any]]:
    tokens = nodes.tokens()
    sound = {"waveform": torch.randn(1, 2, 480_000) * 0.3, "sample_rate": 48000}
    (nodes.INPUT / "list.jsonl").write_text(
        '{"idx": "one", "gt_lyric": "[verse] la.", "descriptions": "pop."}\n'
    )
    song = nodes.run("LeVoSongsFromJSONL", file="list.jsonl", folder="songs")[0][0]
    style = nodes.run("LeVoStyleFromAudio", style_encoder=nodes.tiny("StyleEncoder"), audio=sound,
                      separator=nodes.tiny("Separator"))[0]  # fmt: skip
    vae = nodes.tiny("VAE")
    return {
        "tokens": lambda: nodes.run("LeVoSaveTokens", tokens=tokens, filename_prefix="a/song"),
        "style": lambda: nodes.run("LeVoSaveStyle", style=style, name="mine"),
        "checkpoint": lambda: nodes.run("LeVoSaveCheckpoint", model=vae, name="mine", dtype="fp16"),
        "song": lambda: _save_song(song, sound, tokens),
        "list": lambda: nodes.run("LeVoSongsFromJSONL", file="list.jsonl", folder="songs"),
    }


def _save_song(song: Any, sound: Any, tokens: Any) -> None:
    folder = Path(folder_paths.get_output_directory()) / "songs"
    folder.mkdir(exist_ok=True)
    there = replace(song, planned=replace(song.planned, folder=folder))
    nodes.run("LeVoSaveSong", song=there, audio=sound, tokens=tokens)


def _full(disk: Path, free: int, save: Callable[[], Any]) -> None:
    for path in sorted(disk.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with (disk / "filling").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, SIZE - 4096 - free))
    before = {path for path in disk.rglob("*") if path.is_file()}
    try:
        save()
    except Exception:
        left = {path for path in disk.rglob("*") if path.is_file()} - before
        if left:
            raise LeftBehind(", ".join(path.name for path in left)) from None
        raise
    for path in disk.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                if not file.get_tensor(name).isfinite().all():
                    raise Silent(f"{path.name} is damaged")


if __name__ == "__main__":
    main()
