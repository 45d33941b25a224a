"""Plays songs where the disk of temporary files is full, and prints what is said and left.

Run by test_comfy_full_temp.py in a process of its own, because it imports ComfyUI.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import folder_paths
import torch
from levo_pack.nodes import song
from levo_pack.nodes.host import reporting
from levo_pack.nodes.listen import LeVoListen
from support.small_disk import fill, small_disk

AUDIO = {"waveform": torch.rand(1, 2, 480_000) - 0.5, "sample_rate": 48_000}


class Early:
    """What was decoded of a song so far."""

    sound = AUDIO["waveform"]

    def add(self, *_: object) -> None:
        """Window after window."""


class Report:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """A remark."""
        self.notes.append(text)

    def rendered(self, seconds: float) -> None:
        """How far it is."""


def seen(disk: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    filler = fill(disk, 0)
    try:
        LeVoListen.PREPARE_CLASS_CLONE({}).execute(mix=[AUDIO])
    except ValueError as error:
        found["listen"] = str(error)
    report, sent = Report(), []
    reporting.send_event = lambda event, data: sent.append(event)
    player = song.WindowPlayer(report, Early(), "1")
    window = torch.zeros(1, 64, 250)
    for start in (0, 250, 500):
        player.add(0, start, window)
    found["left"] = [path.name for path in disk.iterdir()]
    filler.unlink()
    player.add(0, 750, window)
    song.WindowPlayer(report, Early(), "1").add(0, 0, window)
    return {**found, "notes": report.notes, "sent": sent, "then": len(list(disk.iterdir()))}


def main() -> None:
    with tempfile.TemporaryDirectory() as place, small_disk(Path(place) / "temp") as disk:
        folder_paths.set_temp_directory(str(disk))
        json.dump(seen(disk), sys.stdout)


if __name__ == "__main__":
    main()
