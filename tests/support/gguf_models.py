"""Small models as GGUF files, with what those should be loaded as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from levo import tiny
from levo.config import LYRIC_ROWS, STYLE_ROWS, LelmConfig, RendererConfig, VaeConfig
from levo.files import released
from levo.kinds import Kind
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae
from support import gguf_files
from support.released import released_tensors

LELM = replace(tiny.LELM, max_seconds=270)
FLOAT_LELM = replace(LELM, width=8, inner=24)  # floats have no blocks
WIDE_LELM = replace(LELM, width=256, inner=512, layers=1)  # K types have blocks of 256
DECODER_LAYOUT = partial(released.vae_layout, encodes=False)


@dataclass(frozen=True)
class Written:
    """A small file with what it should hold."""

    path: Path
    kind: Kind
    model: Any  # builds it
    layout: released.Layout
    originals: dict[str, Tensor]  # released name -> what was to be written
    floats: dict[str, Tensor]  # released name -> what the file's numbers stand for
    arrays: dict[str, np.ndarray]  # the file's name -> what was to be written


def random(name: str, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(len(name) * 1_000 + shape[0])
    return 0.05 * torch.randn(shape, generator=generator) + (1 if "norm" in name else 0)


def lelm_tensors(config: LelmConfig) -> dict[str, Tensor]:
    """Released name -> tensor of a LeLM, whose large tables repeat."""

    def make(name: str, shape: tuple[int, ...]) -> Tensor:
        if shape[0] not in (LYRIC_ROWS, STYLE_ROWS["v2"]):
            return random(name, shape)
        few = random(name, (gguf_files.PERIOD, *shape[1:]))
        return torch.from_numpy(gguf_files.periodic(few.numpy(), shape[0]))

    return released_tensors(LeLM(config, device="meta"), released.lelm_layout(config), make)


def write_lelm(
    path: Path, kind: str, config: LelmConfig | None = None, dialect: str = "levo2", **changes: object
) -> Written:
    """LeLM; tables of K types are wide, those of floats narrow. Metadata may be `said` otherwise."""
    config = config or (WIDE_LELM if "K" in kind else LELM if "Q" in kind else FLOAT_LELM)
    model, layout = partial(LeLM, config), released.lelm_layout(config)
    originals = lelm_tensors(config)
    if dialect == "levo2":
        names = {source: gguf_files.lelm_name(source) for source in originals}
        values = gguf_files.lelm_values(config)
    else:
        names = {source: source for source in originals}
        values = gguf_files.songgen_values(config)
        for name in ("transformer2.lm_head.weight", "layer2_emb.0.weight"):  # of no use to anybody
            names[name], originals[name] = name, random(name, (8, config.width))
    values |= changes
    arrays = {names[source]: tensor.numpy() for source, tensor in originals.items()}
    if dialect != "levo2":
        arrays |= {name: array[0] for name, array in arrays.items() if "EOT_emb" in name}
    floats = gguf_files.write(path, dialect, values, arrays, gguf_files.profile(kind))
    stored_floats = {
        source: torch.from_numpy(floats[name]).view(originals[source].shape)
        for source, name in names.items()
    }
    return Written(path, Kind.LELM, model, layout, originals, stored_floats, arrays)


def gains(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gains with which weight norm changes no weight."""
    directions = {name: t for name, t in tensors.items() if name.endswith("weight_v")}
    return {name.replace("_v", "_g"): t.norm(dim=(1, 2), keepdim=True) for name, t in directions.items()}


def write_flow(path: Path, kind: str, config: RendererConfig = tiny.RENDERER) -> Written:
    model, layout = partial(Renderer, config), released.renderer_layout(config)
    originals = released_tensors(model(device="meta"), layout, random)
    originals["normfeat.counts"] = torch.tensor([1e3])
    originals["normfeat.sum_x2"] = 1e3 * (1 + originals["normfeat.sum_x2"].abs())
    originals["zero_cond_embedding1"] = random("zero", (config.condition,))
    originals |= gains(originals)
    names = {source: name for source in originals if (name := gguf_files.flow_name(source))}
    turned = {name for source, name in names.items() if gguf_files.FLOW_MATRICES.fullmatch(name)}
    arrays = {
        name: np.ascontiguousarray(originals[source].T if name in turned else originals[source].numpy())
        for source, name in names.items()
    }
    arrays |= {name: array[:, :, 0] for name, array in arrays.items() if array.ndim == 3}
    floats = gguf_files.write(
        path, "levo2_flow", gguf_files.flow_values(config), arrays, gguf_files.flow_profile(kind)
    )
    stored_floats = {
        source: torch.from_numpy(floats[name].T if name in turned else floats[name]).reshape(
            originals[source].shape
        )
        for source, name in names.items()
    }
    return Written(
        path, Kind.RENDERER, model, layout, originals, stored_floats | gains(stored_floats), arrays
    )


def write_vae(path: Path, kind: str, config: VaeConfig = tiny.VAE) -> Written:
    model, layout = partial(Vae, config, encodes=False), released.vae_layout(config, encodes=False)
    originals = released_tensors(model(device="meta"), layout, random)
    originals |= gains(originals)
    names = {source: name for source in originals if (name := gguf_files.vae_name(source))}
    arrays = {name: originals[source].numpy() for source, name in names.items()}
    floats = gguf_files.write(
        path, "levo2_vae", gguf_files.vae_values(config), arrays, gguf_files.profile(kind)
    )
    stored_floats = {source: torch.from_numpy(floats[name]) for source, name in names.items()}
    return Written(path, Kind.VAE, model, layout, originals, stored_floats | gains(stored_floats), arrays)


def arrays_of(write: Callable[[Path, str], Written]) -> dict[str, np.ndarray]:
    """Tensors of a small file, by its names; the dict is the caller's own."""
    return dict(_arrays_of(write))


@cache
def _arrays_of(write: Callable[[Path, str], Written]) -> dict[str, np.ndarray]:
    with TemporaryDirectory() as folder:
        return write(Path(folder) / "x.gguf", "F32").arrays
