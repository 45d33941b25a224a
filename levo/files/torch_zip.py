"""torch's zip checkpoints from outside: whether one can be read safely, and the texts in its pickle.

Nothing is unpickled here. Knows how torch lays out its zip files and the opcodes of pickles, nothing of
models. torch writes its records without compression and maps them, so no record is larger than the file.
"""

from __future__ import annotations

import os
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from pickletools import markobject, stackslice
from typing import IO, Any

MAX_DIRECTORY = 2_000_000  # bytes of the list of records; 12,000 styles have 700 kB
MAX_PICKLE = 2_000_000  # bytes; 12,000 styles have 1 MB, the largest released checkpoint 80 kB
MAX_OPCODES = 1_000_000  # each may make a list of 72 bytes; 12,000 styles have 400,000
MAX_DEPTH = 100  # tuples in tuples; those of tensors are 4 deep
PICKLE = "data.pkl"
# The ends of zip files: where the directory lies, and the same for files of 4 GB and more.
END, END_FORMAT = b"PK\x05\x06", "<4s4H2LH"
LOCATOR, LOCATOR_FORMAT = b"PK\x06\x07", "<4sLQL"
END_64, END_64_FORMAT = b"PK\x06\x06", "<4sQ2H2L4Q"
SLOW_CODECS = re.compile(r"puny[-_ ]?code|idna", re.IGNORECASE)  # take hours for a long text
COMMENT = 1 << 16
BEGIN, BEGIN_FORMAT = b"PK\x03\x04", "<4s5H3L2H"
# Names that torch lets a pickle call, and that make as many bytes as the pickle says.
MAKES_BYTES = re.compile(
    r"(builtins|__builtin__) bytearray|torch(\.\w+)* \w*Tensor|torch\.storage (Typed|Untyped)Storage"
)
PUTS, GETS = {"BINPUT", "LONG_BINPUT", "PUT"}, {"BINGET", "LONG_BINGET", "GET"}
# Name of an opcode -> what it takes, from the top: one object, or (True) all down to a mark; how many it
# makes; whether those are tuples.
EFFECTS = {
    opcode.name: (
        tuple(what is markobject for what in reversed(opcode.stack_before) if what is not stackslice),
        len(opcode.stack_after),
        "TUPLE" in opcode.name,
    )
    for opcode in pickletools.opcodes
}


def find_problem(path: Path) -> str | None:
    """Why a zip file is no checkpoint that can be read safely, for a sentence about it; None if it is one.

    Raises:
        OSError: the file cannot be opened.
    """
    if not os.path.isfile(path):  # reading a pipe would wait for ever
        return "is no regular file"
    try:
        with path.open("rb") as file:
            if _directory_size(file) > MAX_DIRECTORY:
                return "lists more records than any checkpoint has"
            with zipfile.ZipFile(file) as archive:
                return _problem_of(archive)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError, RuntimeError):
        return "has a broken list of records"


def texts_in_first_pickle(path: Path) -> list[str]:
    """Texts in the pickle that a checkpoint begins with, as far as it goes: the end may be cut off.

    Raises:
        OSError: the file cannot be opened.
    """
    size = struct.calcsize(BEGIN_FORMAT)
    if not os.path.isfile(path):  # reading a pipe would wait for ever
        return []
    with path.open("rb") as file:
        head = file.read(size)
        if len(head) < size or not head.startswith(BEGIN):
            return []
        *_, name, extra = struct.unpack(BEGIN_FORMAT, head)
        if not file.read(name).decode("utf-8", "replace").endswith(PICKLE):
            return []
        file.read(extra)
        pickled = file.read(MAX_PICKLE)
    opcodes = islice(_opcodes(pickled), MAX_OPCODES)
    return [argument for opcode, argument in opcodes if opcode.name.endswith("UNICODE")]


def _problem_of(archive: zipfile.ZipFile) -> str | None:
    records = archive.infolist()
    pickles = [record for record in records if record.filename.endswith(f"/{PICKLE}")]
    if len(pickles) != 1:
        return "is not a torch checkpoint"
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        return "was packed again with compression, which torch does not map"
    if pickles[0].file_size > MAX_PICKLE:
        return "describes more than any checkpoint holds"
    with archive.open(pickles[0]) as file:
        return _problem_in(file.read(MAX_PICKLE))


@lru_cache(maxsize=4)  # files are looked at when they are listed, opened and read
def _problem_in(pickled: bytes) -> str | None:
    """Why a pickle is not for torch to read; None if it is."""
    tuples = _Tuples()
    for number, (opcode, argument) in enumerate(_opcodes(pickled)):
        tuples.follow(opcode, argument)
        if number == MAX_OPCODES or tuples.deepest > MAX_DEPTH:
            return "describes more than any checkpoint holds"
        makes_bytes = opcode.name in ("GLOBAL", "INST") and MAKES_BYTES.fullmatch(argument)
        if makes_bytes or (isinstance(argument, str) and SLOW_CODECS.fullmatch(argument)):
            return "calls what no checkpoint needs"
    return None


class _Tuples:
    """How deep tuples lie in tuples: keys are hashed, and some 10,000 of them end the process."""

    def __init__(self) -> None:
        self.deepest = 0
        self._stack: list[int | None] = []  # depths of what lies there; None for a mark
        self._memo: dict[int, int] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Do to the stack what an opcode does; it is one that torch knows, or torch refuses the pickle."""
        name, stack = opcode.name, self._stack
        if name in PUTS:
            self._memo[argument] = (stack[-1] if stack else 0) or 0
        elif name in GETS:
            stack.append(self._memo.get(argument, 0))
        elif name == "MARK":
            stack.append(None)
        else:
            takes, makes, is_tuple = EFFECTS[name]
            members = self._pop(takes)
            depth = members + 1 if is_tuple else 0
            stack.extend([depth] * makes)
            if depth > self.deepest:
                self.deepest = depth

    def _pop(self, takes: tuple[bool, ...]) -> int:
        """Take from the stack; for each, whether it is all down to a mark. Gives the greatest depth."""
        greatest, stack = 0, self._stack
        for down_to_mark in takes:
            while stack:
                depth = stack.pop()
                if depth is None:
                    break
                if depth > greatest:
                    greatest = depth
                if not down_to_mark:
                    break
        return greatest


def _opcodes(pickled: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    """Opcodes and what each is given, up to the first that is none."""
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            yield opcode, argument
    except Exception:  # a pickle that stops early, or none
        return


def _directory_size(file: IO[bytes]) -> int:
    """Bytes of a zip file's list of records.

    Raises:
        zipfile.BadZipFile: there is none.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - COMMENT - struct.calcsize(END_FORMAT)))
    tail = file.read()
    at = tail.rfind(END)
    if at < 0:
        raise zipfile.BadZipFile
    entry_size = struct.unpack_from(END_FORMAT, tail, at)[5]
    before = at - struct.calcsize(LOCATOR_FORMAT)
    if before >= 0 and tail[before:at].startswith(LOCATOR):
        file.seek(struct.unpack_from(LOCATOR_FORMAT, tail, before)[2])
        end = file.read(struct.calcsize(END_64_FORMAT))
        if end.startswith(END_64):
            entry_size = max(
                entry_size if entry_size < 0xFFFFFFFF else 0, struct.unpack(END_64_FORMAT, end)[8]
            )
    return entry_size
