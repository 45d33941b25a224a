"""Files of songs as tokens with odd contents, through LeVo Load Tokens and what is made of them."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import json
import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from attack.judge import Findings

SEED = 14
ODD = (None, True, -1, 0, 10**9, 2**70, 1.5, float("nan"), "", "x", "\ud83d", [], [[]], {}, {"a": 1})


def main() -> None:
    """Change each part of a saved song, then load it, render it, go on from it, save it again."""
    findings = Findings("tokens")
    whole = nodes.OUTPUT / nodes.run("LeVoSaveTokens", tokens=nodes.tokens(), filename_prefix="song")[0]
    whole = Path(str(whole).removesuffix(" [output]"))
    with safe_open(whole, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path = nodes.INPUT / "odd.safetensors"
    for what, changed, text in _changes(tensors, metadata):
        path.unlink(missing_ok=True)
        try:
            save_file(changed, path, text)
        except Exception:  # what safetensors itself does not write, nobody has
            continue
        findings.attempt(what, partial(_used, path.name))
    data, chance = whole.read_bytes(), random.Random(SEED)
    for n in range(150):
        damaged = bytearray(data[: chance.randrange(1, len(data))] if n % 2 else data)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        findings.attempt(f"damage {n}", partial(_used, path.name))
    for name in (
        "no.safetensors",
        "../x.safetensors",
        "a\0b",
        "a" * 300,
        "\ud83d.safetensors",
        "a/" * 1500,
        ".",
    ):
        findings.attempt(f"name {name[:9]!r}", partial(_used, name))
    path.unlink()
    os.mkfifo(path)
    findings.attempt("listing beside a fifo", nodes.describe_all)
    findings.attempt("a fifo", partial(_used, path.name))
    findings.report()


def _used(name: str) -> None:
    tokens = nodes.run("LeVoLoadTokens", file=name)[0]
    nodes.run("LeVoRender", renderer=nodes.tiny("Renderer"), tokens=tokens, **nodes.RENDER)
    nodes.run("LeVoSaveTokens", tokens=tokens, filename_prefix="again")
    going_on = {"tokens": tokens, "seconds": 0.4, "seed": 1, "max_seconds": 1}
    nodes.run("LeVoContinueSong", lelm=nodes.tiny("LeLM"), **going_on)


def _changes(
    tensors: dict[str, torch.Tensor], metadata: dict[str, str]
) -> Iterator[tuple[str, dict[str, torch.Tensor], dict[str, str]]]:
    song = json.loads(metadata["levo.song"])
    for path in _paths(song):
        for value in ODD:
            text = json.dumps(_replaced(song, path, value))
            yield f"{'.'.join(map(str, path))} {value!r}", tensors, metadata | {"levo.song": text}
        text = json.dumps(_replaced(song, path, None, drop=True))
        yield f"without {'.'.join(map(str, path))}", tensors, metadata | {"levo.song": text}
    for key in metadata:
        for value in ("", "2", "x", "null", "[" * 100_000, "NaN"):
            yield f"{key} {value[:9]!r}", tensors, metadata | {key: value}
    codes = tensors["codes"]
    for dtype in (torch.float32, torch.uint8, torch.bool, torch.int64, torch.complex64, torch.uint16):
        yield f"codes {dtype}", tensors | {"codes": codes.to(dtype)}, metadata
    for value in (-1, 16384, 16385, 20000, 32767, -32768):
        for at in ((0, 0, 0), (0, 1, 7), (0, 2, -1)):
            changed = codes.clone()
            changed[at] = value
            yield f"code {value} at {at}", tensors | {"codes": changed}, metadata
    for shape in ((0, 3, 25), (1, 3, 0), (1, 2, 25), (3, 25), (1, 3, 25, 1), (2, 3, 25), (1, 3, 26)):
        yield f"codes {shape}", tensors | {"codes": torch.zeros(shape, dtype=torch.int16)}, metadata
    for shape in ((3, 250), (3, 1), (3, 0), (2, 250), (3, 251), (250,)):
        yield f"style {shape}", tensors | {"style": torch.zeros(shape, dtype=torch.int16)}, metadata
    yield "no codes", {"more": codes.clone()}, metadata


def _paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, each in items:
        yield (*before, key)
        yield from _paths(each, (*before, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any, drop: bool = False) -> Any:
    value = json.loads(json.dumps(value))
    place = value
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = new
    return value


if __name__ == "__main__":
    main()
