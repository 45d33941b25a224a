"""Lists of songs and results.jsonl, whole and odd, through LeVo Songs from JSONL and LeVo Save Song."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import json
import os
import random
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attack.judge import Findings, LeftBehind, Silent

SEED, LINES = 14, 3000
GOOD = {"idx": "one", "gt_lyric": "[verse] la la.", "descriptions": "pop."}
ODD = (
    None,
    True,
    0,
    -1,
    1e400,
    1.5,
    "",
    " ",
    [],
    {},
    ["a"],
    "\ud83d",
    "\0",
    "a" * 5000,
    "../x",
    "/etc/passwd",
)
NAMES = [
    *(
        "a/b",
        "a:b",
        "ONE",
        "one",
        "One.",
        " one",
        "con",
        "CON.x",
        "con .x",
        "COM¹",
        "LPT³",
        "nul",
        "..",
        ".",
        "-",
    ),
    *(
        "名" * 90,
        "é" * 200,
        "e\u0301" * 90,
        "\u1112\u1161\u11ab",
        "한",
        "हिन्दी",
        "हन्द",
        "a" * 255,
        "🎵" * 70,
    ),
    *(
        "a\tb",
        "a\nb",
        "%year%",
        "%date:yyyy%",
        "__LNK0__",
        "<b>x</b>",
        "x.flac",
        "x.flac.flac",
        "results.jsonl",
    ),
    *("\u202eabc", "a*b?c", "ß", "SS", "~"),
]
FOLDERS = [
    *(
        "batch",
        "a/b/c",
        "",
        ".",
        "..",
        "../x",
        "/etc",
        "a/../../x",
        "a\0b",
        "\ud83d",
        "x" * 300,
        "名" * 200,
    ),
    *(
        "/".join("d" * 500),
        "a/" * 1500,
        "%year%-%month%",
        "%date:yyyy%",
        "%width%",
        "con",
        "a:b",
        "trailing.",
    ),
]


def main() -> None:
    """Odd fields, odd files, odd folders, odd names, odd results."""
    findings, chance = Findings("lists"), random.Random(SEED)
    for what, data in _documents(chance):
        findings.attempt(what, partial(_listed, data))
    for folder in FOLDERS:
        findings.attempt(f"folder {folder[:20]!r}", partial(_listed, _lines(GOOD), folder=folder))
    for what, data in _results():
        findings.attempt(f"results.jsonl {what}", partial(_beside, data))
    findings.attempt("names", partial(_saved, NAMES))
    for first in NAMES:
        for second in chance.sample(NAMES, 4):
            findings.attempt(f"{first[:9]!r} and {second[:9]!r}", partial(_both, first, second))
    findings.report()


def _lines(*songs: dict[str, Any]) -> bytes:
    return "".join(json.dumps(song) + "\n" for song in songs).encode()


def _documents(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    for key in (*GOOD, "prompt_audio_path", "auto_prompt_audio_type", "more"):
        for value in ODD:
            yield f"{key} {str(value)[:20]!r}", _lines(GOOD | {key: value})
        yield f"without {key}", _lines({name: value for name, value in GOOD.items() if name != key})
    whole = _lines(GOOD, GOOD | {"idx": "two"})
    yield "an array", json.dumps([GOOD, GOOD]).encode()
    yield "an indented array", json.dumps([GOOD] * 50, indent=2).encode()
    yield "an indented object", json.dumps(GOOD, indent=2).encode()
    yield "the same idx twice", _lines(GOOD, GOOD)
    for name in ("utf-16", "utf-32", "gb18030"):
        yield name, whole.decode().encode(name)
    deep = (b"[" * 100_000, b'{"idx":' * 50_000)
    for data in (b"", b"\n\n", b"\xff\xfe", b"\xef\xbb\xbf" + whole, b"null", b"\0", *deep):
        yield repr(data[:9]), data
    yield "100,000 faulty lines", b"x\n" * 100_000
    for n in range(LINES):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        yield f"random bytes {n}", bytes(data)


def _listed(data: bytes, **inputs: Any) -> Any:
    (nodes.INPUT / "list.jsonl").write_bytes(data)
    before = _tree(nodes.ROOT)
    try:
        return nodes.run("LeVoSongsFromJSONL", file="list.jsonl", **{"folder": "batch"} | inputs)
    finally:
        probes = [path for path in _tree(nodes.ROOT) - before if os.path.isfile(path)]
        if probes:
            raise LeftBehind(str(probes[:3]))


def _tree(folder: Any) -> set[str]:
    return {os.path.join(at, name) for at, _, names in os.walk(folder) for name in names}


def _results() -> Iterator[tuple[str, bytes]]:
    record = {"idx": "one", "file": "one.flac", "request": "x"}
    for key in (*record, "seconds", "request_hash", "error"):
        for value in (None, 1, [], {}, "../x.flac", "\ud83d", "x" * 5000):
            yield f"{key} {str(value)[:9]!r}", _lines(record | {key: value})
    deep = (b"[" * 100_000, b'{"a":' * 100_000)
    for data in (b"", b"\xff", b"[]\n", b"null\n", b"{", b"\0" * 100, b"x\n" * 50_000, *deep):
        yield repr(data[:9]), data


def _beside(data: bytes) -> None:
    folder = nodes.OUTPUT / "odd"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "results.jsonl").write_bytes(data)
    _listed(_lines(GOOD), folder="odd")


def _saved(names: list[str], folder: str = "names") -> dict[str, bytes]:
    """Save a song of its own under each name; gives what lies in the files, by name."""
    shutil.rmtree(nodes.OUTPUT / folder, ignore_errors=True)
    songs = [GOOD | {"idx": name, "gt_lyric": f"[verse] number {n}."} for n, name in enumerate(names)]
    listed = _listed(_lines(*songs), folder=folder, skip_faulty=True, songs_a_run=0)[0]
    files = {}
    for n, song in enumerate(listed):
        sound = {"waveform": torch.full((1, 2, 4800), (n + 1) / 100), "sample_rate": 48000}
        file = nodes.run("LeVoSaveSong", song=song, audio=sound, tokens=nodes.tokens())[0][0]
        files[song.planned.song.idx] = file
    contents = {name: Path(file).read_bytes() for name, file in files.items()}
    if len(set(contents.values())) != len(contents):
        raise Silent("one song has overwritten another")
    hidden = [path for path in _tree(nodes.OUTPUT / folder) if "partial" in path or ".lock" in path]
    if hidden:
        raise LeftBehind(str(hidden[:3]))
    return contents


def _both(first: str, second: str) -> None:
    """Two lists, one folder: the second must not touch what the first made."""
    if first == second:
        return
    made = _saved([first], "both")
    files = {
        path: Path(path).read_bytes() for path in _tree(nodes.OUTPUT / "both") if path.endswith(".flac")
    }
    song = GOOD | {"idx": second, "gt_lyric": "[verse] another."}
    for listed in _listed(_lines(song), folder="both")[0]:
        sound = {"waveform": torch.full((1, 2, 4800), 0.5), "sample_rate": 48000}
        nodes.run("LeVoSaveSong", song=listed, audio=sound, tokens=nodes.tokens())
    for path, content in files.items():
        if Path(path).read_bytes() != content:
            raise Silent(f"{path} of {list(made)} was overwritten")


if __name__ == "__main__":
    main()
