"""Files that people, and attackers, put where model files belong: each by what is odd about it."""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

BAD_NAME = os.fsdecode(b"caf\xe9.safetensors")  # Latin-1, no UTF-8


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    """A safetensors file of any header."""
    return len(header).to_bytes(8, "little") + header + data


def entry(**changes: Any) -> bytes:
    """A file of one tensor, some of what is said of it changed."""
    described = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    return safetensors(json.dumps({"a": described}).encode(), b"\0" * 8)


def zipped(path: Path, pickled: bytes, compressed: bool = False, count: int = 0) -> None:
    """A torch checkpoint of any pickle."""
    path.write_bytes(_archive(pickled, compressed, count))


@cache
def _archive(pickled: bytes, compressed: bool, count: int) -> bytes:
    content, how = io.BytesIO(), zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(content, "w", how) as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/version", "3")
        for n in range(count):
            archive.writestr(f"x/data/{n}", "")
    return content.getvalue()


def _written(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _saved(content: object) -> Callable[[Path], object]:
    return lambda path: torch.save(content, path)


def _pickled(pickled: bytes, **how: Any) -> Callable[[Path], object]:
    return lambda path: zipped(path, pickled, **how)


def _bound_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # paths of sockets are short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _linked_twice(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


NESTED = b"[" * 100_000
NO_FILES = (
    "a folder",
    "a pipe",
    "a socket",
    "a link to a device",
    "a link to itself",
    "a link to a folder",
)
# Name of a file -> what writes it.
SAFETENSORS: dict[str, Callable[[Path], object]] = {
    "nothing": _written(b""),
    "one byte": _written(b"\1"),
    "a header nested 100,000 deep": _written(safetensors(NESTED)),
    "objects nested 60 deep": _written(safetensors(b'{"a":' * 60 + b"1" + b"}" * 60)),
    "metadata nested deep": _written(safetensors(b'{"__metadata__":' + NESTED)),
    "an end that is a text": _written(entry(data_offsets=[0, "8"])),
    "ends that are fractions": _written(entry(data_offsets=[0.0, 8.0])),
    "ends that are true and false": _written(entry(data_offsets=[False, True], dtype="U8", shape=[1])),
    "three ends": _written(entry(data_offsets=[0, 4, 8])),
    "an end before the start": _written(entry(data_offsets=[8, 0])),
    "a negative end": _written(entry(data_offsets=[-8, 0])),
    "an end beyond sense": _written(entry(data_offsets=[0, 10**400])),
    "ends that are an object": _written(entry(data_offsets={"0": 1})),
    "a shape that is a number": _written(entry(shape=2)),
    "a shape of texts": _written(entry(shape=["2"])),
    "a shape that overflows": _written(entry(shape=[2**40, 2**40, 2**40])),
    "a negative shape": _written(entry(shape=[-2, -1])),
    "a thousand axes": _written(entry(shape=[1] * 1_000 + [2])),
    "a dtype that is a number": _written(entry(dtype=32)),
    "a dtype that is a list": _written(entry(dtype=[])),
    "another size than the shape": _written(entry(shape=[3])),
    "bytes behind the end": _written(entry() + b"more"),
    "a gap between tensors": _written(entry(data_offsets=[4, 12]) + b"\0" * 4),
    "metadata of numbers": _written(safetensors(b'{"__metadata__":{"levo.part":1}}')),
    "metadata that are a list": _written(safetensors(b'{"__metadata__":[]}')),
    "a header that is no UTF-8": _written(safetensors(b'{"\xff":1}')),
    "a header of 5,000 digits": _written(safetensors(b'{"a":' + b"9" * 5_000 + b"}")),
    "a header that is null": _written(safetensors(b"null")),
    "a header of a million lists": _written(safetensors(b'{"a":[' + b"[]," * 600_000 + b"1]}")),
    "a header of 90 MB": lambda path: os.truncate(_made(path, (90 << 20).to_bytes(8, "little")), 91 << 20),
    "a length of 2**63": _written((2**63).to_bytes(8, "little") + b"{}"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a socket": _bound_socket,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "two links in a circle": _linked_twice,
    "a link to nowhere": lambda path: path.symlink_to(path.with_name("gone")),
    "a link to a folder": lambda path: path.symlink_to(path.parent),
}
PICKLES: dict[str, Callable[[Path], object]] = {
    "a number as name": _saved({0: torch.zeros(2)}),
    "a tuple as name": _saved({("a", 1): torch.zeros(2)}),
    "nothing as name": _saved({None: torch.zeros(2)}),
    "bytes as name": _saved({b"a": torch.zeros(2)}),
    "half a pair as name": _saved({"\ud800": torch.zeros(2)}),
    "a list": _saved([torch.zeros(2)]),
    "a tensor alone": _saved(torch.zeros(2)),
    "a state that is a list": _saved({"state_dict": [1, 2]}),
    "a sparse tensor": _saved({"a": torch.zeros(2, 2).to_sparse()}),
    "a table without rows": _saved(
        {"condition_provider.conditioners.type_info.output_proj.weight": torch.tensor(1.0)}
    ),
    "a package that is a number": _saved({"klass": 3, "state": {"crosstransformer.a": torch.zeros(1)}}),
    "a pickle that inflates": _pickled(b"\x80\x02" + b"]" * 30_000_000 + b".", compressed=True),
    "a pickle of two million lists": _pickled(b"\x80\x02" + b"]" * 2_000_000 + b"."),
    "a pickle that makes 2 GB": _pickled(
        b"\x80\x02cbuiltins\nbytearray\nJ" + (2_000_000_000).to_bytes(4, "little") + b"\x85R."
    ),
    "a tensor that a pickle makes": _pickled(
        b"\x80\x02ctorch\nFloatTensor\nJ" + (2_000_000_000).to_bytes(4, "little") + b"\x85R."
    ),
    "a tensor larger than its file": _pickled(
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ\x00\x00\x00\x7ftQ"
        b"K\x00J\x00\x00\x00\x7f\x85K\x01\x85\x89ccollections\nOrderedDict\n)Rt\x52s.",
        count=1,
    ),
    "tuples nested as a key": _pickled(b"\x80\x02})" + b"\x85" * 900_000 + b"Ns."),
    "tuples nested by two": _pickled(b"\x80\x02}N" + b"N\x86" * 450_000 + b"Ns."),
    "tuples nested with marks and memos": _pickled(
        b"\x80\x02})q\x00" + b"(h\x00tq\x00" * 200_000 + b"h\x00Ns."
    ),
    "a text in a slow codec": _pickled(
        b"\x80\x02c_codecs\nencode\nX\x80\xa9\x03\x00"
        + "".join(chr(0x100 + n) for n in range(60_000))
        .encode("utf-8", "surrogatepass")[:240_000]
        .ljust(240_000, b"a")
        + b"X\x08\x00\x00\x00punycode\x86R."
    ),
    "a pickle that stops": _pickled(b"\x80\x02}q\x00("),
    "a pickle of another protocol": _pickled(pickle.dumps({"a": 1}, protocol=5)),
    "a pickle that is text": _pickled(b"hello"),
    "two pickles": _pickled(b"\x80\x02}.", count=2),
    "no pickle": lambda path: zipfile.ZipFile(path, "w").writestr("readme", "x"),
    "40,000 records": _pickled(b"\x80\x02}.", count=40_000),
    "an end without a beginning": _written(b"PK\x05\x06" + b"\0" * 18),
    "an end that lies": _written(b"PK\x05\x06" + b"\xff" * 18),
    "a far beginning": _written(
        b"PK\x06\x07" + b"\0" * 4 + b"\xff" * 8 + b"\1\0\0\0" + b"PK\x05\x06" + b"\0" * 18
    ),
    "zeros": _written(b"\0" * 4_096),
    "a bare pickle": _written(pickle.dumps({"a": [1, 2]})),
    **{name: write for name, write in SAFETENSORS.items() if name in NO_FILES},
}
# Each under a name of its own.
ODD = {f"{name}.safetensors": write for name, write in SAFETENSORS.items()}
ODD |= {f"{name}.pt": write for name, write in PICKLES.items()}
CONFIGS: dict[str, str] = {
    "a billion laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "an alias in itself": "a: &a [*a]\n",
    "an alias of a merge": "a: &a {b: 1}\nc:\n  <<: *a\n",
    "a day that was not": "released: 2025-02-30\n",
    "a month that is not": "released: 2025-13-01 10:00:00\n",
    "a number that is none": "a: !!int abc\n",
    "an empty number": "a: 0x_\n",
    "an empty tagged number": "a: !!int ''\n",
    "5,000 digits": f"a: {'9' * 5_000}\n",
    "a number of sixties": f"a: {'1:' * 300_000}1\n",
    "infinity": "max_dur: .inf\nlm: .nan\n",
    "nested deep": "[" * 50_000 + "\n",
    "nested by indents": "\n".join(f"{' ' * n}a:" for n in range(500)),
    "a list of 5 MB": f"a: [{'1, ' * 1_700_000}1]\n",
    "a list of 900 kB": f"a: [{'1, ' * 300_000}1]\n",
    "keys that are lists": "? [a]\n: 1\n",
    "keys that are maps": "? {a: b}\n: 1\n",
    "a tag": "a: !!python/object/apply:os.system ['true']\n",
    "a tag of its own": "a: !vault |\n  x\n",
    "two texts": "a: 1\n---\nb: 2\n",
    "a NUL": "a: \0\n",
    "a number": "5\n",
    "a tab": "a:\n\tb: 1\n",
}


def _made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
