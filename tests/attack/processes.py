"""Two processes that save into one folder at once, and processes that are killed while they save."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import json
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import folder_paths
import torch
from safetensors import safe_open

from attack.judge import Findings, LeftBehind, Silent

SEED, SAVES, KILLS = 14, 100, 25
WORK = "work"  # the argument of a process that only saves


def main() -> None:
    """Start others of this module and look at what they leave."""
    findings, chance = Findings("processes"), random.Random(SEED)
    findings.attempt(f"two processes, {SAVES} songs and tokens each", _side_by_side)
    for n in range(KILLS):
        findings.attempt(f"killed {n}", partial(_killed, chance.random()))
    findings.report()


def work(folder: Path, name: str, count: int) -> None:
    """Save songs and tokens, each of its own."""
    folder_paths.set_output_directory(str(folder))
    tokens = nodes.tokens()
    lines = [
        {"idx": f"{name} {n}", "gt_lyric": f"[verse] number {n}.", "descriptions": "pop."}
        for n in range(count)
    ]
    (nodes.INPUT / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    songs = nodes.run("LeVoSongsFromJSONL", file="list.jsonl", folder="songs", songs_a_run=0)[0]
    print("ready", flush=True)
    sys.stdin.readline()
    for song in songs:
        sound = {"waveform": torch.randn(1, 2, 48_000) * 0.1, "sample_rate": 48000}
        nodes.run("LeVoSaveSong", song=song, audio=sound, tokens=tokens)
        nodes.run("LeVoSaveTokens", tokens=tokens, filename_prefix="tokens")


def _start(folder: Path, name: str, count: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "attack.processes", WORK, str(folder), name, str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def _go(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def _side_by_side() -> None:
    folder = nodes.ROOT / "both"
    folder.mkdir()
    processes = [_start(folder, name, SAVES) for name in ("first", "second")]
    _go(*processes)
    if any(process.wait() for process in processes):
        raise Silent("a process failed")
    _all_whole(folder, 2 * SAVES)


def _killed(after: float) -> None:
    folder = nodes.ROOT / f"killed {after}"
    folder.mkdir()
    process = _start(folder, "song", SAVES)
    _go(process)
    time.sleep(3 * after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _all_whole(folder)
    again = _start(folder, "song", SAVES)  # what is finished is left out, leftovers go
    _go(again)
    if again.wait():
        raise Silent("the next run failed")
    _all_whole(folder)
    hidden = [path.name for path in folder.rglob("*") if "partial" in path.name]
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
    if sys.argv[1:2] == [WORK]:
        work(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
