"""The header of a GGUF file: metadata, and names, types, shapes and places of tensors.

Holds the file to the rules of the format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md),
within limits. Lists of texts, as of a tokenizer, are passed over unless they are asked for by name: the
package `gguf` takes 10 s to read those, and has no limits. Reads no tensor; knows nothing of models.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from .safetensors_header import HeaderCut, HeaderError, NoHeader

GGUF = ".gguf"
MAGIC = b"GGUF"
VERSIONS = (2, 3)  # the first had numbers of another width
MAX_HEADER = 100_000_000  # bytes; tokenizers take 10 MB
MAX_KEYS = 2_000
MAX_TENSORS = 10_000
MAX_LISTED = 2_000_000  # elements of all lists together; a tokenizer has 300,000
MAX_AXES = 4
MAX_ELEMENTS = 1 << 50
MAX_NAME = 1_000  # bytes
KEPT_TEXT = 10_000  # bytes of a text, and
KEPT_LIST = 256  # elements of a list of numbers, that are kept
MAX_ALIGNMENT = 1 << 20

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, LIST = 8, 9  # the other types of metadata

Info = tuple[str, tuple[int, ...], int, int]  # name, shape, type and place, behind the header, of a tensor


@dataclass(frozen=True)
class TensorType:
    """How numbers are stored: so many of them in so many bytes."""

    name: str
    numbers: int
    size: int


# By their number in the format; of those that are not read here, the name.
TYPES = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    8: TensorType("Q8_0", 32, 34),
    12: TensorType("Q4_K", 256, 144),
    13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210),
    30: TensorType("BF16", 1, 2),
}
OTHER_TYPES = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K",
    16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip


@dataclass(frozen=True)
class GgufTensor:
    """One tensor."""

    type: TensorType | None  # None where it is none of TYPES
    type_name: str
    shape: tuple[int, ...]  # as torch has it: the format names the last axis first
    start: int  # of its bytes in the file

    @property
    def nbytes(self) -> int:
        """Bytes in the file; 0 where the type is not known."""
        return prod(self.shape) // self.type.numbers * self.type.size if self.type else 0


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says of itself."""

    values: dict[str, Any]  # metadata; None for what is longer than is kept
    tensors: dict[str, GgufTensor]
    size: int  # bytes that the file has at least by what its header says


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF files do, whatever it is called."""
    if not os.path.isfile(path):  # reading a pipe would wait for ever
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_header(path: Path) -> GgufHeader:
    """Header of a file; what stands behind it may be cut off.

    Raises:
        HeaderError: the file has none, or one that breaks the rules of the format; says how.
        OSError: the file cannot be opened.
    """
    state = path.stat() if os.path.isfile(path) else None
    if state is None:
        raise NoHeader("no regular file")
    return _remembered(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)  # tokenizers take 0.2 s to pass over, and editors ask at every key
def _remembered(path: Path, *_state: int) -> GgufHeader:
    return _read(path, {})


def remaining_architecture(path: Path) -> str | None:
    """What a file that may be cut off or broken says it is; None if nothing is left that says so."""
    values: dict[str, Any] = {}
    with suppress(HeaderError, OSError):
        _read(path, values)
    architecture = values.get("general.architecture")
    return architecture if isinstance(architecture, str) else None


def texts_in(path: Path, names: Collection[str]) -> dict[str, list[str]]:
    """Lists of texts among a file's metadata, of those names that are there.

    Raises:
        HeaderError: see `read_header`.
        OSError: the file cannot be opened.
    """
    values: dict[str, Any] = {}
    _read(path, values, names)
    return {name: values[name] for name in names if isinstance(values.get(name), list)}


def _read(path: Path, values: dict[str, Any], texts: Collection[str] = ()) -> GgufHeader:
    """See `read_header`; fills `values` as far as it comes, lists of texts only where they are named."""
    if not is_gguf(path):
        raise NoHeader("no header")
    with path.open("rb") as file:
        reader = _Reader(file)
        reader.bytes(len(MAGIC))
        _require_version(reader.number("I"))
        tensors, keys = reader.number("Q"), reader.number("Q")
        if tensors > MAX_TENSORS or keys > MAX_KEYS:
            raise HeaderError(f"it counts {tensors:,} tensors and {keys:,} values")
        for _ in range(keys):
            name = reader.name()
            if name in values:
                raise HeaderError(f"{name} stands there twice")
            values[name] = reader.value(reader.number("I"), name in texts)
        infos = [_tensor(reader) for _ in range(tensors)]
        begin = file.tell()
    return _placed(values, infos, begin)


def _require_version(version: int) -> None:
    if version >> 16:  # of the bytes of a small number, the last ones
        raise HeaderError("it was made for machines with the other order of bytes")
    if version not in VERSIONS:
        raise HeaderError(f"it has version {version} of GGUF, and 2 and 3 are read")


def _tensor(reader: _Reader) -> Info:
    name, axes = reader.name(), reader.number("I")
    if not 1 <= axes <= MAX_AXES:
        raise HeaderError(f"{name} has {axes} axes")
    shape = tuple(reader.number("Q") for _ in range(axes))[::-1]
    if not 1 <= prod(shape) <= MAX_ELEMENTS or max(shape) > MAX_ELEMENTS:
        raise HeaderError(f"{name} has a shape that no tensor has")
    return name, shape, reader.number("I"), reader.number("Q")


def _placed(values: dict[str, Any], infos: list[Info], end: int) -> GgufHeader:
    """The header, once it is known that tensors lie beside each other behind it."""
    alignment = values.get("general.alignment", 32)
    if type(alignment) is not int or not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise HeaderError("its alignment is no power of two from 8")
    begin = end + -end % alignment
    tensors: dict[str, GgufTensor] = {}
    for name, shape, number, offset in infos:
        kind = TYPES.get(number)
        if name in tensors:
            raise HeaderError(f"{name} stands there twice")
        if offset % alignment or offset > MAX_ELEMENTS:
            raise HeaderError(f"{name} lies nowhere")
        if kind and shape[-1] % kind.numbers:
            raise HeaderError(f"{name} has rows of {shape[-1]:,}, which are no blocks of {kind.name}")
        type_name = kind.name if kind else OTHER_TYPES.get(number, f"type {number}")
        tensors[name] = GgufTensor(kind, type_name, shape, begin + offset)
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.start):
        if tensor.start < end:
            raise HeaderError("tensors overlap")
        end = tensor.start + tensor.nbytes
    return GgufHeader(values, tensors, end)


class _Reader:
    """Numbers and texts of a header, one after the other."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._bytes_left, self._listed = MAX_HEADER, MAX_LISTED

    def bytes(self, count: int) -> bytes:
        """So many bytes.

        Raises:
            HeaderError: that is more than any header has, or the file ends before.
        """
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise HeaderError("it is longer than any that is read")
        data = self._file.read(count)
        if len(data) < count:
            raise HeaderCut(self._file.tell() - len(data) + count)
        return data

    def number(self, code: str) -> Any:
        """A number, by its code of `struct`."""
        (value,) = struct.unpack(f"<{code}", self.bytes(struct.calcsize(f"<{code}")))
        return value

    def name(self) -> str:
        """A text that names something."""
        length = self.number("Q")
        if not 0 < length <= MAX_NAME:
            raise HeaderError("it has a name of no sensible length")
        try:
            return self.bytes(length).decode()
        except UnicodeDecodeError as error:
            raise HeaderError("it has a name that is no text") from error

    def value(self, kind: int, texts: bool = False) -> Any:
        """Metadata of a type; None for what is longer than is kept, and lists of texts without `texts`."""
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == TEXT:
            data = self.bytes(self.number("Q"))
            return data.decode(errors="replace") if len(data) <= KEPT_TEXT else None
        if kind == LIST:
            return self._list(self.number("I"), self.number("Q"), texts)
        raise HeaderError("it has a value of an unknown type")

    def _list(self, kind: int, count: int, texts: bool) -> Any:
        self._listed -= count
        if self._listed < 0:
            raise HeaderError("its lists are longer than any that are read")
        if kind == TEXT:
            listed = (self.bytes(self.number("Q")) for _ in range(count))
            if texts:
                return [text.decode(errors="replace") for text in listed]
            for _ in listed:
                pass
            return None
        if kind not in NUMBERS:
            raise HeaderError("it has a list of an unknown type")
        code = f"<{count}{NUMBERS[kind]}"
        data = self.bytes(struct.calcsize(code))
        return list(struct.unpack(code, data)) if count <= KEPT_LIST else None
