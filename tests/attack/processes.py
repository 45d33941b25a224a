"""Two processes that save into one folder at once, and processes that are killed while they save."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import folder_paths
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from safetensors import safe_open

from attack.judge import Findings, LeftBehind, Silent

SEED, SAVES, KILLS = 14, 100, 25
LONGEST = 3.0  # seconds before a process is killed
SECONDS = 120.0  # that two processes may take
FORK = multiprocessing.get_context("fork")  # so that each need not start ComfyUI


def main() -> None:
    """Start processes that save, and look at what they leave."""
    findings, chance = Findings("processes", seconds=SECONDS), random.Random(SEED)
    nodes.tokens()  # made once, for all
    findings.attempt(f"two processes, {SAVES} songs and tokens each", _side_by_side)
    for n in range(KILLS):
        findings.attempt(f"killed {n}", partial(_killed, chance.random()))
    findings.report()


def _work(ready: Connection, folder: Path, name: str, count: int) -> None:
    """Save songs and tokens, each of its own, once told to."""
    folder_paths.set_output_directory(str(folder))
    (nodes.INPUT / f"{name}.jsonl").write_text(
        "".join(
            f'{{"idx": "{name} {n}", "gt_lyric": "[verse] number {n}.", "descriptions": "pop."}}\n'
            for n in range(count)
        )
    )
    (songs, *_) = nodes.run("LeVoSongsFromJSONL", file=f"{name}.jsonl", folder="songs", songs_a_run=0)
    ready.send(None)
    ready.recv()
    for song in songs:
        if isinstance(song, ExecutionBlocker):  # all are finished
            return
        sound = {"waveform": torch.randn(1, 2, 48_000) * 0.1, "sample_rate": 48000}
        nodes.run("LeVoSaveSong", song=song, audio=sound, tokens=nodes.tokens())
        nodes.run("LeVoSaveTokens", tokens=nodes.tokens(), filename_prefix="tokens")


@contextmanager
def _working(folder: Path, *names: str) -> Iterator[list[BaseProcess]]:
    """Processes that begin to save at once; they end with this."""
    processes, ends = [], []
    try:
        for name in names:
            here, there = FORK.Pipe()
            processes.append(FORK.Process(target=_work, args=(there, folder, name, SAVES)))
            processes[-1].start()
            there.close()
            here.recv()
            ends.append(here)
        for end in ends:
            end.send(None)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def _side_by_side() -> None:
    folder = nodes.ROOT / "both"
    folder.mkdir()
    with _working(folder, "first", "second") as processes:
        for process in processes:
            process.join()
    if any(process.exitcode for process in processes):
        raise Silent("a process failed")
    _all_whole(folder, 2 * SAVES)


def _killed(after: float) -> None:
    folder = nodes.ROOT / f"killed {after}"
    folder.mkdir()
    with _working(folder, "song"):
        time.sleep(LONGEST * after)
    _all_whole(folder)
    with _working(folder, "song") as (again,):  # what is finished is left out, leftovers go
        again.join()
    if again.exitcode:
        raise Silent("the next run failed")
    _all_whole(folder)
    hidden = [path.name for path in folder.rglob(".*")]
    if hidden:
        raise LeftBehind(", ".join(hidden))


def _all_whole(folder: Path, expected: int | None = None) -> None:
    """Raises Silent for a file that is not whole, or is not recorded, or for another number of files."""
    tokens, songs = list(folder.glob("*.safetensors")), list(folder.glob("songs/[!.]*.flac"))
    for path in tokens:
        with safe_open(path, "pt") as file:
            file.get_tensor("codes")
    results = folder / "songs" / "results.jsonl"
    records = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if expected is not None and not len(tokens) == len(songs) == len(records) == expected:
        raise Silent(f"{len(tokens)} tokens, {len(songs)} songs and {len(records)} records of {expected}")
    if not set(record["file"] for record in records) <= {path.name for path in songs}:
        raise Silent("a record names a song that is not there")


if __name__ == "__main__":
    main()
