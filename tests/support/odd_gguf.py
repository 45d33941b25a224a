"""GGUF files that people, and attackers, put where model files belong: each by what is odd about it."""

from __future__ import annotations

import struct
from typing import Any


def number(code: str, *values: Any) -> bytes:
    return struct.pack(f"<{code}", *values)


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return number("Q", len(data)) + data


def metadata_entry(name: str | bytes, kind: int, value: bytes) -> bytes:
    return text(name) + number("I", kind) + value


VAE = metadata_entry("general.architecture", 8, text("levo2_vae"))


def header(
    *values: bytes, tensors: bytes = b"", counts: tuple[int, int] | None = None, version: int = 3
) -> bytes:
    """A file of any metadata and tensors."""
    start = b"GGUF" + number("I", version) + number("QQ", *(counts or (bool(tensors), len(values))))
    return start + b"".join(values) + tensors


def tensor(name: str | bytes = "a", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    axes = number("I", len(shape)) + number(f"{len(shape)}Q", *shape)
    return text(name) + axes + number("IQ", kind, offset)


def with_data(head: bytes, size: int = 64) -> bytes:
    return head + b"\0" * (-len(head) % 32 + size)


# What is odd -> a file; those that have VAE say what they are.
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "magic alone": b"GGUF",
    "a page": b"<!DOCTYPE html><html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "another format": b"PK\3\4" + b"\0" * 100,
    "the first version": header(VAE, version=1),
    "a later version": header(VAE, version=4),
    "the other order of bytes": b"GGUF" + struct.pack(">I", 3) + struct.pack(">QQ", 0, 0),
    "2**63 tensors": header(VAE, counts=(2**63, 1)),
    "2**63 values": header(VAE, counts=(0, 2**63)),
    "more values than there are": header(VAE, counts=(0, 9)),
    "a text of 2**60": header(VAE, metadata_entry("a", 8, number("Q", 2**60))),
    "a name of 2**60": header(VAE, number("Q", 2**60)),
    "a name of nothing": header(VAE, metadata_entry("", 4, number("I", 1))),
    "a name that is no text": header(VAE, metadata_entry(b"\xff\xfe", 4, number("I", 1))),
    "a list of 2**60": header(VAE, metadata_entry("a", 9, number("IQ", 4, 2**60))),
    "texts without end": header(VAE, metadata_entry("a", 9, number("IQ", 8, 2**31))),
    "a list of lists": header(VAE, metadata_entry("a", 9, number("IQ", 9, 1) * 100)),
    "a value of no type": header(VAE, metadata_entry("a", 77, b"")),
    "a value twice": header(VAE, VAE),
    "a tensor twice": with_data(header(VAE, tensors=tensor() + tensor(offset=32), counts=(2, 1))),
    "tensors that overlap": with_data(header(VAE, tensors=tensor() + tensor("b"), counts=(2, 1))),
    "no axes": with_data(header(VAE, tensors=tensor(shape=()))),
    "five axes": with_data(header(VAE, tensors=tensor(shape=(1,) * 5))),
    "2**31 axes": header(VAE, tensors=text("a") + number("I", 2**31)),
    "an axis of nothing": with_data(header(VAE, tensors=tensor(shape=(0, 4)))),
    "a shape beyond sense": with_data(header(VAE, tensors=tensor(shape=(2**40, 2**40)))),
    "a place between places": with_data(header(VAE, tensors=tensor(offset=5))),
    "a place beyond the end": with_data(header(VAE, tensors=tensor(offset=2**40))),
    "a place beyond sense": with_data(header(VAE, tensors=tensor(offset=2**64 - 32))),
    "rows that are no blocks": with_data(header(VAE, tensors=tensor(shape=(33,), kind=8))),
    "an alignment of nothing": with_data(
        header(VAE, metadata_entry("general.alignment", 4, number("I", 0)), tensors=tensor())
    ),
    "an alignment of three": with_data(
        header(VAE, metadata_entry("general.alignment", 4, number("I", 3)), tensors=tensor())
    ),
    "an alignment that is a text": with_data(
        header(VAE, metadata_entry("general.alignment", 8, text("32")), tensors=tensor())
    ),
    "a type that is not read": with_data(header(VAE, tensors=tensor(shape=(32,), kind=20))),
    "a type of nobody": with_data(header(VAE, tensors=tensor(shape=(32,), kind=99))),
}
# Whole files that hold nothing of ours.
FOREIGN: dict[str, bytes] = {
    "no values": header(),
    "another model": with_data(
        header(metadata_entry("general.architecture", 8, text("llama")), tensors=tensor())
    ),
    "another model in a type that is not read": with_data(
        header(
            metadata_entry("general.architecture", 8, text("flux")), tensors=tensor(shape=(32,), kind=23)
        )
    ),
    "an architecture that is a number": header(metadata_entry("general.architecture", 4, number("I", 7))),
    "an architecture that is a list": header(
        metadata_entry("general.architecture", 9, number("IQI", 4, 1, 7))
    ),
    "an architecture of 20,000 letters": header(
        metadata_entry("general.architecture", 8, text("levo2" * 4_000))
    ),
}
