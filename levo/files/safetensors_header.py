"""The header of a safetensors file: names, dtypes, shapes and metadata, read without mapping the file.

Holds the file to the rules of the format (https://github.com/huggingface/safetensors#format), within
limits. Knows nothing of models.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from .plain_data import PlainDataError, from_json

LENGTH = 8  # bytes that say how long the header is
MAX_HEADER = 2_000_000  # bytes; the largest released one has 150 kB
MAX_LISTS = 200_000  # lists and objects in it, three a tensor: a million take seconds to read
MAX_AXES = 16
MAX_ELEMENTS = 1 << 50
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
}


class HeaderError(ValueError):
    """A file has no header of safetensors, or a broken one."""


class NoHeader(HeaderError):
    """A file has none, or one that is longer than any that is read."""


class HeaderCut(HeaderError):
    """A file ends before its header does."""

    def __init__(self, whole: int) -> None:
        super().__init__("the header is cut off")
        self.whole = whole  # bytes that the file should have at least


@dataclass(frozen=True)
class Entry:
    """One tensor."""

    dtype: torch.dtype | None  # None where the format has one that is not known here
    shape: tuple[int, ...]
    start: int  # of its bytes, behind the header
    end: int


@dataclass(frozen=True)
class Header:
    """What a safetensors file says of itself."""

    tensors: dict[str, Entry]
    metadata: dict[str, str]
    size: int  # bytes that the whole file has by what its header says


def read_header(path: Path) -> Header:
    """Header of a file; what stands behind it may be cut off.

    Raises:
        HeaderError: the file has none, or one that breaks the rules of the format.
        OSError: the file cannot be opened.
    """
    if not os.path.isfile(path):  # reading a pipe would wait for ever
        raise NoHeader("no regular file")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        if not 2 <= length <= MAX_HEADER:
            raise NoHeader("no header")
        text = file.read(length)
    if len(text) < length:
        raise HeaderCut(LENGTH + length)
    if text.count(b"[") + text.count(b"{") > MAX_LISTS:
        raise HeaderError("the header describes more than any model has")
    try:
        content = from_json(text.decode("utf-8"))
    except (UnicodeDecodeError, PlainDataError) as error:
        raise HeaderError("the header is no JSON") from error
    return _header(content, LENGTH + length)


def _header(content: Any, begin: int) -> Header:
    if not isinstance(content, dict):
        raise HeaderError("the header is no JSON object")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise HeaderError("the metadata are no texts")
    tensors = {name: _entry(name, entry) for name, entry in content.items()}
    end = 0
    for entry in sorted(tensors.values(), key=lambda entry: (entry.start, entry.end)):
        if entry.start != end:
            raise HeaderError("tensors overlap, or leave a gap")
        end = entry.end
    return Header(tensors, metadata, begin + end)


def _entry(name: str, fields: Any) -> Entry:
    if not isinstance(fields, dict) or not isinstance(fields.get("dtype"), str):
        raise HeaderError(f"{name} has no dtype")
    shape, span = _sizes(fields.get("shape")), _sizes(fields.get("data_offsets"))
    if shape is None or span is None or len(span) != 2 or len(shape) > MAX_AXES:
        raise HeaderError(f"{name} has no shape or no place")
    start, end = span
    entry = Entry(DTYPES.get(fields["dtype"]), shape, start, end)
    count = prod(shape)
    if start > end or count > MAX_ELEMENTS or (entry.dtype and count * entry.dtype.itemsize != end - start):
        raise HeaderError(f"{name} has another size than its shape")
    return entry


def _sizes(numbers: Any) -> tuple[int, ...] | None:
    """A list of whole numbers, none of them negative or beyond sense; None if it is no such list."""
    if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n <= MAX_ELEMENTS for n in numbers):
        return None
    return tuple(numbers)
