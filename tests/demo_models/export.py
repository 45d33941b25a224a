"""Writes trained models as files of ours: tables by their rows in use, numbers as fp16."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from levo.config import CODES, LelmConfig, RendererConfig, VaeConfig
from levo.files.converted import FORMAT, UNHASHED, sha256_of
from levo.kinds import Kind
from levo.vae.oobleck import Vae

from .lelm_training import Rows, SmallLeLM
from .renderer_training import SmallRenderer
from .vae_stages import LEVEL

LICENCE = (
    "BSD-3-Clause, of ComfyUI-LeVo: trained on songs that its own composer made; no recording was used"
)
HEADROOM = 1.6
SOURCE = "tests/demo_models of ComfyUI-LeVo"


def ranges(rows: Rows) -> list[list[int]]:
    """Rows in use as pairs of first and one past last; all others are the last row of the small table."""
    pairs: list[list[int]] = []
    for row in rows.used.tolist():
        if pairs and pairs[-1][1] == row:
            pairs[-1][1] = row + 1
        else:
            pairs.append([row, row + 1])
    return pairs


def in_use(rows: Rows, tensor: Tensor, seen: set[int]) -> tuple[Rows, Tensor]:
    """A small table without rows that no training song has: they are as good as all others."""
    kept = [n for n, row in enumerate(rows.used.tolist()) if row in seen or row >= CODES]
    return Rows(len(rows.place), rows.used[kept].tolist()), torch.cat((tensor[kept], tensor[-1:]))


def lelm_tensors(model: SmallLeLM) -> tuple[dict[str, Tensor], dict[str, Rows]]:
    """Tensors by the model's names, and of tables which rows they are."""
    tensors = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(("tables.", "prompt_start"))
    }
    tensors["conditioner.prompt_start.weight"] = model.prompt_start
    rows = {f"{name}.weight": rows for name, rows in model.rows.items()}
    for name in model.rows:
        tensors[f"{name}.weight"] = model.tables[name.replace(".", "_")]
    return tensors, rows


def renderer_tensors(model: SmallRenderer) -> tuple[dict[str, Tensor], dict[str, Rows]]:
    names = {"vocal_out": "vocal.out", "band_out": "accompaniment.out"}
    books = {"vocal.codebook.weight": model.vocal_book, "accompaniment.codebook.weight": model.band_book}
    tensors = {name: book.weight for name, book in books.items()}
    for name, tensor in model.state_dict().items():
        head, _, rest = name.partition(".")
        if head == "statistics":
            tensors["statistics.weight"] = tensor
        elif not head.endswith("_book"):
            tensors[f"{names.get(head, head)}.{rest}"] = tensor
    return tensors, {name: book.rows for name, book in books.items()}


def vae_tensors(vae: Vae) -> tuple[dict[str, Tensor], dict[str, Rows]]:
    """At the level of sound: it was trained louder, and rock would clip."""
    tensors = dict(vae.state_dict())
    tensors["decoder.last.weight"] = tensors["decoder.last.weight"] / (LEVEL * HEADROOM)
    tensors["encoder.first.weight"] = tensors["encoder.first.weight"] * LEVEL * HEADROOM
    return tensors, {}


def smaller(
    tensors: dict[str, Tensor], rows: dict[str, Rows], seen: dict[str, set[int]]
) -> tuple[dict[str, Tensor], dict[str, Rows]]:
    """Tables without rows that no training song has, by their names."""
    for name, codes_seen in seen.items():
        rows[name], tensors[name] = in_use(rows[name], tensors[name], codes_seen)
    return tensors, rows


def write(
    path: Path,
    kind: Kind,
    config: LelmConfig | RendererConfig | VaeConfig,
    tensors: dict[str, Tensor],
    rows: dict[str, Rows],
) -> None:
    """Write one file; statistics stay float32, all else becomes fp16."""
    metadata = {
        "format": "pt",
        "levo.format": FORMAT,
        "levo.part": kind.value,
        "levo.config": json.dumps(dataclasses.asdict(config)),
        "levo.source": SOURCE,
        "levo.source_sha256": "",
        "levo.licence": LICENCE,
        "levo.sha256": UNHASHED,
    }
    if rows:
        metadata["levo.rows"] = json.dumps({name: ranges(each) for name, each in rows.items()})
    if kind == Kind.LELM:
        metadata["levo.vocabulary"] = "bytes"
    numbers = {
        name: tensor.detach()
        .to(torch.float32 if name == "statistics.weight" else torch.float16)
        .contiguous()
        for name, tensor in tensors.items()
    }
    save_file(numbers, path, metadata)
    digest = sha256_of(path, UNHASHED, lambda done, total: None)
    data = path.read_bytes()
    path.write_bytes(data.replace(UNHASHED.encode(), digest.encode(), 1))
