"""A GGUF file that was opened: which model of LeVo 2 it holds, its config, and its weights into a model.

The container is looked at by `gguf_header`; numbers in few bits become floats by the package `gguf`, which
is imported here when the first of them are loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from ..config import RELEASED_CONFIGS
from ..kinds import Kind
from ..text.tokenizer import PAD, Vocabulary
from . import gguf_header, released
from .damage import display_name, raise_if_damaged
from .gguf_config import gguf_config
from .gguf_header import GgufHeader, GgufTensor, HeaderError
from .packed import Packed, PackedFile
from .released import GGUF_DIALECTS, Layout, gguf_layout
from .tensor_file import CheckpointError, Inventory

PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# What a file is called by the smallest of its types; those with "_M" keep some matrices as Q6_K.
MIXED = {"Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
SMALLEST_FIRST = ("Q4_K", "Q5_K", "Q6_K", "Q8_0", "BF16", "F16", "F32")
# Files of which nothing is left are told by words in their names.
WORDS = {"flow": Kind.RENDERER, "vae": Kind.VAE, "levo": Kind.LELM, "lelm": Kind.LELM}
TOKENS, MERGES = "tokenizer.ggml.tokens", "tokenizer.ggml.merges"
NAMES = {Kind.RENDERER: "flow", Kind.VAE: "VAE decoder"}


@dataclass(frozen=True)
class GgufFile(PackedFile):
    """A file of LeVo 2 in GGUF, or of any other model."""

    path: Path
    inventory: Inventory
    header: GgufHeader

    @property
    def architecture(self) -> str:
        """Which model the file says that it holds."""
        name = self.header.values.get("general.architecture")
        return name if isinstance(name, str) else ""

    @property
    def kind(self) -> Kind | None:
        """What it holds; None if it is no model that is known."""
        return _kind_of(self.architecture)

    @property
    def name(self) -> str:
        """What people may call it: the model and the type of its numbers."""
        return f"{self._model()} {self.type_name}"

    @property
    def type_name(self) -> str:
        """What its numbers are, as GGUF files are called after it."""
        types = {tensor.type_name for tensor in self.header.tensors.values()}
        smallest = next((name for name in SMALLEST_FIRST if name in types), "")
        return MIXED.get(smallest, smallest) if "Q6_K" in types else smallest

    def vocabulary(self) -> Vocabulary | None:
        """Qwen2's vocabulary, which files of LeLM hold; None where it is not whole."""
        try:
            texts = gguf_header.texts_in(self.path, (TOKENS, MERGES))
        except (HeaderError, OSError):
            return None
        words = texts.get(TOKENS, [])[:PAD]
        merges = [tuple(merge.split(" ")) for merge in texts.get(MERGES, ())]
        vocabulary = {word: number for number, word in enumerate(words)}
        if len(vocabulary) < PAD or not merges or any(len(merge) != 2 for merge in merges):
            return None
        return vocabulary, merges

    def config(self, expected_kind: Kind) -> Any:
        """Config of the model.

        Raises:
            CheckpointError: it is no model of the kind that is wanted, or its metadata are broken.
        """
        name = display_name(self.path)
        if self.kind is None:
            model = f"of {self.architecture!r}" if self.architecture else "of an unnamed model"
            raise CheckpointError(
                f"{name} is a GGUF file {model}; choose a file that holds a {expected_kind}."
            )
        if self.kind != expected_kind:
            raise CheckpointError(f"{name} is a {self.kind}; choose a file that holds a {expected_kind}.")
        return gguf_config(self.path, self.architecture, self.header.values, self.inventory.tensors)

    def load_into(self, model: nn.Module, layout: Layout, device: torch.device | str | None = None) -> None:
        """Give a model the tensors of the file; see `ConvertedFile.load_into`."""
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        gguf_names = gguf_layout(self.architecture, layout, shapes)
        released.load(model, partial(_tensors, self.path, self.header), gguf_names, device)

    def _model(self) -> str:
        if self.kind != Kind.LELM:
            return NAMES[self.kind] if self.kind else self.path.stem
        try:
            config = self.config(Kind.LELM)
        except CheckpointError:
            return self.path.stem
        # The releases of v1 that are alike in size are told by more than that.
        return next((name for name, known in RELEASED_CONFIGS.items() if known == config), self.path.stem)


def open_gguf(path: Path) -> GgufFile:
    """Read what a GGUF file says of itself; its weights are not read.

    Raises:
        CheckpointError: the file is damaged, or has numbers of a type that is not read here.
    """
    raise_if_damaged(path, CheckpointError)
    file = _described(path)
    unread = sorted({tensor.type_name for tensor in file.header.tensors.values() if tensor.type is None})
    if unread and file.kind:
        known = ", ".join(reversed(SMALLEST_FIRST))
        raise CheckpointError(
            f"{display_name(path)} holds numbers as {', '.join(unread)}, and {known} are read; download "
            "one of those."
        )
    return file


def remains_of(path: Path) -> tuple[Kind | None, str]:
    """Kind and name of what a file was that cannot be read, as far as it, or its name, still says so."""
    try:
        file = _described(path)
        return file.kind, file.name
    except (gguf_header.HeaderError, OSError):
        if architecture := gguf_header.remaining_architecture(path):
            return _kind_of(architecture), path.stem
    return next((kind for word, kind in WORDS.items() if word in path.name.lower()), None), path.stem


def _kind_of(architecture: str) -> Kind | None:
    """Kind of model that files of an architecture hold."""
    dialect = GGUF_DIALECTS.get(architecture)
    return dialect.kind if dialect else None


def _described(path: Path) -> GgufFile:
    header = gguf_header.read_header(path)
    tensors = {
        name: torch.empty(tensor.shape, dtype=PLAIN.get(tensor.type_name), device="meta")
        for name, tensor in header.tensors.items()
    }
    return GgufFile(path, Inventory(tensors), header)


def _tensors(path: Path, header: GgufHeader) -> dict[str, Tensor | Packed]:
    """Tensors of a file, mapped.

    Raises:
        CheckpointError: the file was cut off since its header was read.
    """
    try:
        whole = torch.from_file(str(path), shared=False, size=header.size, dtype=torch.uint8)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{display_name(path)} cannot be read; download it again.") from error
    return {name: _tensor(tensor, whole) for name, tensor in header.tensors.items()}


def _tensor(tensor: GgufTensor, whole: Tensor) -> Tensor | Packed:
    data = whole[tensor.start : tensor.start + tensor.nbytes]
    if tensor.type_name in PLAIN:
        return data.view(PLAIN[tensor.type_name]).view(tensor.shape)
    assert tensor.type is not None  # as `open_gguf` makes sure
    rows = data.view(-1, tensor.shape[-1] // tensor.type.numbers * tensor.type.size)
    return Packed(torch.Size(tensor.shape), (rows,), _decoder(tensor.type_name))


def _decoder(type_name: str) -> Callable[[Tensor], Tensor]:
    """What turns rows of a type into floats."""
    try:
        import gguf
    except ImportError as error:
        raise CheckpointError(
            "GGUF files whose numbers are packed need the package gguf; install it with pip install gguf."
        ) from error
    kind = gguf.GGMLQuantizationType[type_name]

    def decode(rows: Tensor) -> Tensor:
        with numpy.errstate(all="ignore"):  # numbers that are none are told with their tensor's name
            return torch.from_numpy(gguf.quants.dequantize(rows.numpy(), kind))

    return decode
