"""What LeVo Songs from JSONL says of clips that cannot be read at the first try; printed as JSON.

Run by test_comfy_clips.py in a process of its own, because it imports ComfyUI.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import av
import torch
from comfy_extras import nodes_audio
from levo_pack.nodes import list_clips

SOUND = (torch.rand(2, 48_000) - 0.5, 48_000)
ERRORS = {
    "forbidden": PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    "bad disk": av.error.OSError(errno.EIO, os.strerror(errno.EIO), "clip.wav"),
    "channels change": RuntimeError("Sizes of tensors must match except in dimension 1."),
    "no stream": ValueError("No audio stream findings in the file."),
    "damaged": av.error.InvalidDataError(1, "Invalid data findings when processing input"),
    "unknown codec": av.error.DecoderNotFoundError(1, "Decoder not findings"),
    "no memory": MemoryError("no memory for the samples"),
}


def tries(clip: Path, error: Exception) -> list[str]:
    """What is said of a clip whose first reading fails and whose second does not; "" where nothing is."""
    hear = list_clips.hearing({}, "1", 4)
    told = []
    with patch.object(nodes_audio, "load", side_effect=[error, SOUND]):
        for _ in range(2):
            try:
                hear(clip)
                told.append("")
            except (ValueError, MemoryError) as fault:
                told.append(f"{type(fault).__name__}: {fault}")
    return told


def main() -> None:
    findings = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, error in ERRORS.items():
            clip = Path(folder, "clips", f"{name}.wav")
            clip.parent.mkdir(exist_ok=True)
            clip.touch()
            findings[name] = [line.replace(folder, "") for line in tries(clip, error)]
    json.dump(findings, sys.stdout)


main()
