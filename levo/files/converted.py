"""Our own weight files: a safetensors file with one part under our names, its config and its origin.

Format 1: metadata `levo.format` "1", `levo.part` (a `Kind`), `levo.config` (JSON of
the config's fields), `levo.source`, `levo.source_sha256`, `levo.licence` and `levo.sha256`; tensors as in
the model's state dict, but for tables that small_tables.py tells of. `levo.vocabulary` "bytes" marks a LeLM
that reads bytes in place of Qwen2's vocabulary. `levo.sha256` is the hash of the file itself, computed with
zeros in its own place; files of earlier versions have none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import LelmConfig, RendererConfig, VaeConfig
from ..kinds import MODELS, Kind
from ..layers import weights
from ..layers.fp8 import FP8
from ..layers.int4 import Int4Linear
from ..layers.int8 import Int8Linear
from ..layers.quantised import QuantisedLinear
from . import atomic, config_limits, plain_data, released, small_tables
from .catalogue import LICENCE
from .damage import display_name, raise_if_newer
from .released import Layout, Source
from .tensor_file import CheckpointError, Inventory, hash_of_rest, read

FORMAT = "1"
VOCABULARY, BYTES = "levo.vocabulary", "bytes"
ALIGNMENT = 64  # bytes, of the first tensor in the file
UNHASHED = "0" * 64  # stands for the hash until it is known
SHA256 = re.compile("[0-9a-f]{64}")
# safetensors' names
DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
SMALL = {torch.int8: "I8", torch.uint8: "U8", FP8: "F8_E4M3"}  # of matrices only
DTYPE_NAMES = {torch.int8: "int8", torch.uint8: "int4", FP8: "fp8"}  # as loaders call them
FORMS: dict[torch.dtype, type[QuantisedLinear]] = {torch.int8: Int8Linear, torch.uint8: Int4Linear}
DTYPES |= SMALL


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where weights came from."""

    source: str  # name of the file
    sha256: str  # of that file
    licence: str = LICENCE


def kind_in(inventory: Inventory) -> Kind | str | None:
    """The part that a file of ours holds, a text where it is a later version's; None for any other file."""
    part = inventory.metadata.get("levo.part")
    return Kind(part) if part in set(Kind) else part


def provenance_in(inventory: Inventory) -> Provenance:
    """Where the weights of a converted file came from first."""
    metadata = inventory.metadata
    source, sha256 = metadata.get("levo.source", ""), metadata.get("levo.source_sha256", "")
    return Provenance(source, sha256, metadata.get("levo.licence", LICENCE))


def config_in(path: Path, inventory: Inventory, expected_kind: Kind) -> Any:
    """The config of a converted file.

    Args:
        path: of the file, for messages.
        inventory: what it holds.
        expected_kind: the part it must be.

    Raises:
        CheckpointError: another part, another format, or a broken config.
    """
    kind = kind_in(inventory)
    if kind != expected_kind:
        raise CheckpointError(
            f"{display_name(path)} holds a {kind}; choose a file that holds a {expected_kind}."
        )
    raise_if_newer(display_name(path), inventory.metadata.get("levo.format"), FORMAT, CheckpointError)
    try:
        fields = plain_data.from_json(inventory.metadata["levo.config"])
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        config = MODELS[expected_kind].config(**values)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{display_name(path)} has a broken config; make or download it again."
        ) from error
    try:
        config_limits.check(config)
    except ValueError as error:
        raise CheckpointError(
            f"{display_name(path)} has a broken config ({error}); make or download it again."
        ) from error
    return config


def load(
    model: nn.Module,
    path: Path,
    stored: Inventory,
    kind: Kind,
    device: torch.device | str | None = None,
) -> None:
    """Give `model` the tensors of a converted file; those that are as the model has them stay mapped.

    A file of int8 or int4 fits a float model, and one of the other, and the other way round.

    Args:
        model: whose tensors are replaced.
        path: of the file.
        stored: what the file holds.
        kind: of the model.
        device: where the tensors go; None for where the model has them now.

    Raises:
        CheckpointError: as `released.load`.
    """
    sources = _sources(model, read(path)) | _small_tables(model, stored)
    released.load(
        model, partial(read, path), Layout(kind, sources, unused=(), dtypes=frozenset(DTYPES)), device
    )


def _sources(model: nn.Module, stored: Mapping[str, Tensor]) -> dict[str, Source]:
    """Where each tensor of a model comes from, by what the file and the model store in few bits."""
    layers = {f"{n}.weight": m for n, m in model.named_modules() if isinstance(m, QuantisedLinear)}
    # Other whole numbers are told by `released.check`.
    forms = {
        name: FORMS[tensor.dtype]
        for name, tensor in stored.items()
        if tensor.dtype in FORMS and tensor.ndim == 2 and name.endswith(".weight")
    }
    sources = {}
    for name, tensor in model.state_dict().items():
        layer, form = layers.get(name), forms.get(name)
        scale = f"{name.removesuffix('weight')}scale"
        if form is not None and not isinstance(layer, form):
            width = (tensor if layer is None else layer).shape[1]
            sources[name] = Source((name, scale), partial(_floats, form, width))
        elif not _follows(name, layers, forms):
            sources[name] = Source((name,))
    return sources


def _small_tables(model: nn.Module, stored: Inventory) -> dict[str, Source]:
    """Where the tables of a model come from that a file holds in part."""
    try:
        ranges = small_tables.ranges_in(stored.metadata)
    except ValueError as error:
        raise CheckpointError(
            f"It says of its tables what nobody can read ({error}); write it again."
        ) from error
    tables = {name: table for name, table in model.state_dict().items() if name in ranges}
    return {
        name: Source((name,), partial(small_tables.expand, ranges[name], len(table)))
        for name, table in tables.items()
    }


def _follows(
    name: str, layers: Mapping[str, QuantisedLinear], forms: Mapping[str, type[QuantisedLinear]]
) -> bool:
    """Whether a tensor of a model is a scale that follows from weights that the file holds otherwise."""
    weight = f"{name.removesuffix('scale')}weight"
    if not name.endswith(".scale") or weight not in layers:
        return False
    return weight not in forms or not isinstance(layers[weight], forms[weight])


def _floats(form: type[QuantisedLinear], width: int, weight: Tensor, scale: Tensor) -> Tensor:
    """[out, width] float32 numbers that a matrix in few bits stands for."""
    return form.dequantise(weight, scale)[:, :width]


def save(
    path: Path,
    model: nn.Module,
    kind: Kind,
    config: LelmConfig | RendererConfig | VaeConfig,
    origin: Provenance,
    dtype: torch.dtype | None,
    on_step: Callable[[int, int], None],
    vocabulary: str = "",
) -> None:
    """Write a model as one converted file; it appears only when it is complete.

    safetensors' own writer copies all tensors before it writes; this one holds one of them at a time, which
    matters at 10 GB, and can stop in between.

    Args:
        path: of the new file; its folder is made.
        model: on any device.
        kind: of the model.
        config: the model's.
        origin: where its weights came from.
        dtype: of the numbers in the file, but for those that stay float32 in a model of that dtype; None
            keeps each tensor's, which a model in few bits needs.
        on_step: told (done, total) bytes after each tensor; what it raises stops the writing.
        vocabulary: BYTES for a LeLM that reads bytes.

    Raises:
        CheckpointError: a number does not fit `dtype`, or the model is in few bits and has to stay so.
        WriteError: the disk is full or cannot be written.
    """
    # Whole numbers first: mapped from the file they then lie as kernels want them.
    tensors = dict(sorted(model.state_dict().items(), key=lambda item: item[1].dtype not in FORMS))
    dtypes = _dtypes(tensors, model, kind, config, dtype)
    metadata = {
        "format": "pt",
        "levo.format": FORMAT,
        "levo.part": kind.value,
        "levo.config": json.dumps(dataclasses.asdict(config)),
        "levo.source": origin.source,
        "levo.source_sha256": origin.sha256,
        "levo.licence": origin.licence,
        "levo.sha256": UNHASHED,
    }
    if vocabulary:
        metadata[VOCABULARY] = vocabulary
    header, total = _header(tensors, metadata, dtypes)
    start = len(header).to_bytes(8, "little") + header
    with atomic.writing(path, len(start) + total) as unfinished, unfinished.open("wb") as file:
        file.write(start)
        digest = hashlib.sha256(start)
        for name in tensors:
            data = _bytes(name, weights.value(model, name), dtypes[name])
            file.write(data)
            digest.update(data)
            on_step(file.tell() - len(start), total)
        file.seek(0)
        file.write(_with_hash(start, UNHASHED, digest.hexdigest()))


def recorded_sha256(inventory: Inventory) -> str | None:
    """The hash that a converted file says it has, see `sha256_of`; None in files of earlier versions."""
    sha256 = inventory.metadata.get("levo.sha256", "")
    return sha256 if SHA256.fullmatch(sha256) else None


def sha256_of(path: Path, recorded: str, on_step: Callable[[int, int], None]) -> str:
    """Hash of a converted file as `save` computes it, in hexadecimal.

    Args:
        path: of the file.
        recorded: by the file itself, which counts as zeros.
        on_step: told (done, total) bytes; what it raises stops.
    """
    with path.open("rb") as file:
        length = file.read(8)
        start = length + file.read(int.from_bytes(length, "little"))
        digest = hashlib.sha256(_with_hash(start, recorded, UNHASHED))
        return hash_of_rest(file, digest, on_step)


def _with_hash(start: bytes, old: str, new: str) -> bytes:
    """The first bytes of a file, up to its tensors, with another hash in them."""
    key = '"levo.sha256":"'
    return start.replace(f'{key}{old}"'.encode(), f'{key}{new}"'.encode())


def _dtypes(
    tensors: dict[str, Tensor], model: nn.Module, kind: Kind, config: Any, dtype: torch.dtype | None
) -> dict[str, torch.dtype]:
    """The dtype that each tensor has in a file of `dtype`; see `save`."""
    if dtype is None:
        return {name: tensor.dtype for name, tensor in tensors.items()}
    if small := {DTYPE_NAMES[tensor.dtype] for tensor in tensors.values() if tensor.dtype in DTYPE_NAMES}:
        chosen = min(small)  # a model in int4 has tables in int8
        raise CheckpointError(
            f"The {kind} was loaded as {chosen}, which is written only as it is; choose `as loaded`, "
            "or load it in the dtype that the file should have."
        )
    like = type(model)(config, device="meta", dtype=dtype).state_dict()
    return {name: tensor.dtype for name, tensor in like.items()}


def _header(
    tensors: dict[str, Tensor], metadata: dict[str, str], dtypes: dict[str, torch.dtype]
) -> tuple[bytes, int]:
    """Header of a safetensors file, padded so that tensors are aligned, and the size of the rest."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        kind = dtypes[name]
        start, end = end, end + tensor.numel() * kind.itemsize
        entries[name] = {
            "dtype": DTYPES[kind],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-(len(text) + 8) % ALIGNMENT), end


def _bytes(name: str, tensor: Tensor, dtype: torch.dtype) -> memoryview:
    tensor = tensor.detach().to("cpu")
    numbers = tensor.to(dtype).contiguous()
    if dtype != tensor.dtype and not torch.equal(numbers.isfinite(), tensor.isfinite()):
        raise CheckpointError(f"{name} holds numbers too large for fp16; choose bf16 or fp32.")
    return numbers.reshape(-1).view(torch.uint8).numpy().data
