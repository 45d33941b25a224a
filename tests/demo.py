"""`make demo`: runs the first example workflow in a real ComfyUI and puts the song into output/ as FLAC.

Says what was measured of the song's sound, and prints its path as the last line; a failure is one sentence
and exit code 1.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from demo_models import listening
from support.comfy_server import ComfyServer, Message, PromptRejected, Run, ServerError
from support.pack import ROOT
from support.workflow import to_prompt

from levo.config import FRAME_RATE, SAMPLE_RATE

WORKFLOW = ROOT / "example_workflows" / "LeVo Text to Song.json"
OUTPUT = ROOT / "output"
RUN_SECONDS = 3600.0
LINE_WIDTH = 72
NONSENSE = (
    "The built-in demo models sang this: small ones, and nonsense. For songs run the example LeVo Get the "
    "Models in ComfyUI, and choose its files in the loaders."
)


class DemoError(RuntimeError):
    """The demo could not make its song; the text is the sentence for the user."""


class ProgressLine:
    """Shows what runs in one changing line of standard error; a line per node where that is no terminal."""

    def __init__(self, prompt: dict[str, Any]) -> None:
        self._titles = {node: entry["_meta"]["title"] for node, entry in prompt.items()}
        self._changes = sys.stderr.isatty()

    def show(self, text: str) -> None:
        line = text.ljust(LINE_WIDTH)[:LINE_WIDTH]
        sys.stderr.write(f"\r{line}" if self._changes else f"{text}\n")
        sys.stderr.flush()

    def __call__(self, message: Message) -> None:
        title = self._titles.get(message.data.get("node"))
        if title is None:
            return
        if message.type == "executing":
            self.show(title)
        elif message.type == "progress" and self._changes:
            self.show(f"{title}  {message.data['value']}/{message.data['max']}")

    def close(self) -> None:
        if self._changes:
            sys.stderr.write("\r" + " " * LINE_WIDTH + "\r")


def main() -> int:
    """Make the song; returns the exit code."""
    if not WORKFLOW.is_file():
        print(f"There is no {WORKFLOW}; get a complete copy of ComfyUI-LeVo.", file=sys.stderr)
        return 1
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "comfyui-levo" / "demo"
    cache.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="run-", dir=cache))
    try:
        song = make_song(base)
    except ServerError as error:
        reason = error.sentence
    except (DemoError, PromptRejected, OSError, ValueError) as error:
        reason = str(error)
    else:
        shutil.rmtree(base)
        print(f"{measured(song)}\n{NONSENSE}", file=sys.stderr)
        print(song)
        return 0
    print(f"{reason.rstrip('.')}; what ComfyUI wrote is in {base}.", file=sys.stderr)
    return 1


def make_song(base: Path) -> Path:
    """Run the workflow with ComfyUI in `base` and return the song's path in output/."""
    workflow = json.loads(WORKFLOW.read_text("utf-8"))
    print("Starting ComfyUI", file=sys.stderr)
    with ComfyServer(base) as server:
        prompt = to_prompt(workflow, server.get("/object_info"))
        line = ProgressLine(prompt)
        try:
            run = server.run(prompt, timeout=RUN_SECONDS, on_message=line)
        finally:
            line.close()
        return keep(server.output_file(saved_flac(run, prompt)))


def saved_flac(run: Run, prompt: dict[str, Any]) -> dict[str, str]:
    """The entry of the first sound in the output folder; raises DemoError with the run's own reason."""
    if run.error is not None:
        reason = run.error.get("exception_message", run.status).strip()
        raise DemoError(f"{run.error.get('node_type')} failed: {reason}")
    for node in prompt:
        for entry in run.outputs.get(node, {}).get("audio", ()):
            if entry["type"] == "output":
                return entry
    raise DemoError(f"{WORKFLOW.name} has no node that saves the song; add one to it")


def measured(song: Path) -> str:
    """What can be heard of a song without ears, in a line."""
    sound = soundfile.read(song, always_2d=True)[0].T
    beat = 60 * FRAME_RATE / (2 * listening.tempo(sound, tuple(n / 10 for n in range(45, 110))))
    sounding = np.mean(listening.levels(sound) > listening.HEARD)
    peak = 20 * np.log10(np.abs(sound).max())
    seconds = sound.shape[1] / SAMPLE_RATE
    return (
        f"{seconds:.1f} s, sound in {sounding:.0%} of it, peak {peak:.1f} dBFS, {beat:.0f} beats a minute"
    )


def keep(flac: Path) -> Path:
    """Move `flac` into output/, where it appears only once it is complete."""
    OUTPUT.mkdir(exist_ok=True)
    song = OUTPUT / flac.name
    unfinished = song.with_suffix(".part")
    shutil.move(flac, unfinished)
    os.replace(unfinished, song)
    return song


if __name__ == "__main__":
    sys.exit(main())
