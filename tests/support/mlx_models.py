"""Small LeLMs as MLX folders: shards, index and configs, in floats or in few bits."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from levo.config import LelmConfig
from levo.files import released
from levo.lelm.model import LeLM
from support import gguf_files, gguf_models

COND = "condition_provider.conditioners"
NAMES = {
    "emb.0.weight": "emb0.weight",
    "layer2_emb.0.weight": "layer2_emb0.weight",
    "layer2_emb.1.weight": "layer2_emb1.weight",
    "layer2_emb.2.weight": "layer2_emb2.weight",
    f"{COND}.prompt_audio.emb.0.weight": "prompt_audio_emb0.weight",
    f"{COND}.prompt_audio.emb.1.weight": "prompt_audio_emb1.weight",
    f"{COND}.prompt_audio.emb.2.weight": "prompt_audio_emb2.weight",
    f"{COND}.prompt_audio.EOT_emb": "prompt_audio_eot",
    f"{COND}.prompt_audio.layer2_EOT_emb": "prompt_audio_layer2_eot",
    f"{COND}.description.output_proj.weight": "description_output_proj.weight",
    f"{COND}.description.structure_emb.weight": "description_structure_emb.weight",
    f"{COND}.type_info.output_proj.weight": "type_info_output_proj.weight",
    "mlp.0.weight": "mlp.linear0.weight",
    "mlp.0.bias": "mlp.linear0.bias",
    "mlp.2.weight": "mlp.linear2.weight",
    "mlp.2.bias": "mlp.linear2.bias",
    "transformer.lm_head.weight": "transformer_lm_head.weight",
    "linears.0.weight": "linears0.weight",
    "linears.1.weight": "linears1.weight",
}
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
ERROR = {
    "fp32": 0.0,
    "fp16": 1e-3,
    "bf16": 8e-3,
    "8-bit": 0.01,
    "4-bit": 0.12,
}  # of the largest
# Wide enough for the groups of 64 numbers that MLX packs, and of 128 that int4 layers have.
GROUPED_LELM = replace(gguf_models.LELM, width=128, inner=256, layers=1)
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 6_000_000


@dataclass(frozen=True)
class WrittenMlx:
    """A folder with what it should hold."""

    path: Path  # of what is chosen
    model: Any  # builds it
    layout: released.Layout
    originals: dict[str, Tensor]  # released name -> what was to be written
    floats: dict[str, Tensor]  # released name -> what the numbers stand for


def mlx_name(source: str) -> str | None:
    """What a released tensor is called; None for those that are left out."""
    source = source.removeprefix("audiolm.")
    if source.startswith("transformer2.lm_head") or source.startswith("out_norm"):
        return None
    return NAMES.get(source) or re.sub(r"^(transformer2?)\.model\.", r"\1.", source)


def quantise(
    x: Tensor, bits: int, group: int = 64, dtype: torch.dtype = torch.float16
) -> tuple[Tensor, ...]:
    """Words, scales and biases of a matrix, and its floats."""
    rows, columns = x.shape
    groups = x.float().reshape(rows, -1, group)
    low = groups.amin(2).to(dtype)
    scale = ((groups.amax(2) - groups.amin(2)) / (2**bits - 1)).to(dtype)
    step = scale.float()[:, :, None].clamp(min=1e-12)
    q = ((groups - low.float()[:, :, None]) / step).round().clamp(0, 2**bits - 1)
    floats = (q * scale.float()[:, :, None] + low.float()[:, :, None]).reshape(rows, columns)
    numbers = q.reshape(rows, -1, 32 // bits).numpy().astype(np.uint32)
    words = sum(numbers[:, :, k] << np.uint32(bits * k) for k in range(32 // bits)).astype(np.uint32)
    return [torch.from_numpy(words), scale, low, floats]


def packed_tensors(name: str, tensor: Tensor, kind: str) -> tuple[dict[str, Tensor], Tensor]:
    """What a tensor is stored as, and the floats that it then stands for."""
    if kind in DTYPES:
        stored = tensor.to(DTYPES[kind])
        return {name: stored}, stored.float()
    if tensor.ndim < 2 or not name.endswith(".weight"):
        return {name: tensor.half()}, tensor.half().float()
    layer = name.removesuffix(".weight")
    few = tensor[: gguf_files.PERIOD] if len(tensor) > 100_000 else tensor
    parts = quantise(few, int(kind[0]))
    more = [torch.from_numpy(np.resize(p.numpy(), (len(tensor), p.shape[1]))) for p in parts]
    words, scales, biases, floats = parts if few is tensor else more
    return {name: words, f"{layer}.scales": scales, f"{layer}.biases": biases}, floats


def config_json(config: LelmConfig, kind: str) -> dict[str, Any]:
    """What lies beside as config.json."""
    runtime = {
        "hidden_size": config.width,
        "intermediate_size": config.inner,
        "num_heads": config.heads,
        "num_layers": config.layers,
        "num_layers_sub": config.layers_sub,
        "code_depth": 3,
        "code_size": 16_384,
        "prompt_len": 10,
        "frame_rate": 25,
        "max_position_embeddings": 10_000,
        "rope_theta": float(config.rope_theta),
        "rope_theta_sub": float(config.rope_theta_sub),
        "cfg_coef": 1.5,
    }
    config_values: dict[str, Any] = {
        "format": "songgeneration-mlx-audiolm",
        "variant": "v2-medium",
        "runtime": runtime,
    }
    if kind not in DTYPES:
        config_values["quantization"] = {"bits": int(kind[0]), "group_size": 64, "mode": "affine"}
    return config_values


def write(folder: Path, kind: str, config: LelmConfig | None = None, shards: bool = True) -> WrittenMlx:
    """A small LeLM in a type: bf16, fp16, fp32, 8-bit or 4-bit."""
    config = config or (gguf_models.FLOAT_LELM if kind in DTYPES else GROUPED_LELM)
    model, layout = partial(LeLM, config), released.lelm_layout(config)
    originals = gguf_models.lelm_tensors(config)
    originals["layer2_emb.0.weight"] = gguf_models.random("unused", (8, config.width))
    stored, floats = {}, {}
    for source, tensor in originals.items():
        name = mlx_name(source)
        assert name
        parts, floats[source] = packed_tensors(name, tensor, kind)
        stored |= parts
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_json(config, kind)))
    path = write_shards(folder, stored) if shards else folder / "model.safetensors"
    if not shards:
        save_file(stored, path, {"format": "mlx"})
    return WrittenMlx(path, model, layout, originals, floats)


def write_shards(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """Tensors in files of up to SHARD_BYTES, and their index; gives the latter."""
    parts: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        if parts[-1] and sum(t.nbytes for t in parts[-1].values()) + tensor.nbytes > SHARD_BYTES:
            parts.append({})
        parts[-1][name] = tensor.contiguous()
    places = {}
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05}-of-{len(parts):05}.safetensors"
        save_file(part, folder / file, {"format": "mlx"})
        places |= dict.fromkeys(part, file)
    index = {
        "metadata": {"total_size": sum(t.nbytes for t in tensors.values())},
        "weight_map": places,
    }
    (folder / INDEX).write_text(json.dumps(index))
    return folder / INDEX


def copied(file: WrittenMlx, folder: Path) -> Path:
    """A folder of links and a copy of the index, to be changed; gives the index."""
    folder.mkdir(parents=True)
    for part in file.path.parent.glob("*.safetensors"):
        (folder / part.name).symlink_to(part)
    for name in (INDEX, "config.json"):
        shutil.copy(file.path.parent / name, folder / name)
    return folder / INDEX
