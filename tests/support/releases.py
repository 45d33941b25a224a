"""Released files with names, shapes and dtypes but without weights, in the layouts they come in.

Pickles hold one zero, shown in every shape; safetensors files are a header and a hole: kilobytes of disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from levo.kinds import Kind
from support.release_texts import CONFIGS, VAE_JSON, config_text

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
V2_IN_F32 = re.compile(  # whatever belongs to the second stage
    r"audiolm\.(transformer2|layer2_emb|linears|mlp)\..*"
    r"|audiolm\.condition_provider\.conditioners\.prompt_audio\.(emb\.[12]\.weight|layer2_EOT_emb)"
)
SAFETENSORS_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
SAFETENSORS_NAMES[torch.uint32] = "U32"
HUBERT_LAYER = {
    "attention.k_proj": (768, 768),
    "attention.v_proj": (768, 768),
    "attention.q_proj": (768, 768),
    "attention.out_proj": (768, 768),
    "layer_norm": (768,),
    "feed_forward.intermediate_dense": (3072, 768),
    "feed_forward.output_dense": (768, 3072),
    "final_layer_norm": (768,),
}
HUBERT_REST = 64  # tensors of the full septoken file that nobody has listed

Tensors = dict[str, Tensor]  # on the meta device

# Tensors of a file ---------------------------------------------------------------------------------------


def lelm(name: str) -> Tensors:
    """`model.pt` of a release."""
    size = {"large": "large", "v2-medium": "v2_medium", "v2-large": "v2_large"}.get(name, "base")
    rule = _mixed if name.startswith("v2") else _all_f32
    return _manifest(f"songgeneration_{size}", rule)


def septoken(full: bool) -> Tensors:
    """`model_septoken/model_2.safetensors`: 716 tensors, and HuBERT's 277 in the full generation."""
    if not full:
        return _manifest("model_septoken_slim", _halves)
    rest = {f"hubert.label_embs_concat.{n}": _meta((256,)) for n in range(HUBERT_REST)}
    return _manifest("model_septoken_slim", _all_f32) | _hubert() | rest


def style_encoder(full: bool) -> Tensors:
    """`model_1rvq/model_2_fixed.safetensors`: 481 tensors, and a renderer and HuBERT in the full one."""
    if not full:
        return _manifest("model_1rvq_slim", lambda name: torch.float16)
    return _manifest("model_1rvq_slim", _all_f32) | _flow(width=1200, inner=4800, layers=39) | _hubert()


def vae() -> Tensors:
    """`autoencoder_music_1320k.ckpt`."""
    return _manifest("autoencoder_music_1320k", _all_f32)


def separator() -> Tensors:
    """A few tensors of `htdemucs.pth`."""
    shapes = {
        "encoder.0.conv.weight": (48, 4, 8, 1),
        "tencoder.0.conv.weight": (48, 2, 8),
        "decoder.3.conv_tr.weight": (48, 16, 8, 1),
        "freq_emb.embedding.weight": (512, 48),
        "channel_upsampler.weight": (512, 384, 1),
        "crosstransformer.norm_in.weight": (512,),
        "crosstransformer.layers.0.self_attn.in_proj_weight": (1536, 512),
    }
    return {name: _meta(shape) for name, shape in shapes.items()}


def hubert_alone() -> Tensors:
    """The file of content-vec-best, which nothing of ours reads."""
    return {name.removeprefix("hubert."): tensor for name, tensor in _hubert().items()}


@cache
def _manifest(file: str, dtype: Callable[[str], torch.dtype]) -> Tensors:
    shapes = json.loads((MANIFESTS / f"{file}.json").read_text(encoding="utf-8"))
    counted = "num_batches_tracked"
    return {
        name: _meta(shape, torch.int64 if name.endswith(counted) else dtype(name))
        for name, shape in shapes.items()
    }


def _all_f32(_name: str) -> torch.dtype:
    return torch.float32


def _mixed(name: str) -> torch.dtype:
    return torch.float32 if V2_IN_F32.fullmatch(name) else torch.bfloat16


def _halves(name: str) -> torch.dtype:
    return torch.float16 if name.startswith(("bestrq.", "rvq_bestrq")) else torch.float32


def _meta(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _hubert() -> Tensors:
    """HuBERT base as transformers names it, with content-vec's projection."""
    widths = (10, 3, 3, 3, 3, 2, 2)
    shapes = {
        f"feature_extractor.conv_layers.{n}.conv.weight": (512, 512 if n else 1, width)
        for n, width in enumerate(widths)
    }
    shapes |= _pair("feature_extractor.conv_layers.0.layer_norm", (512,))
    shapes |= _pair("feature_projection.layer_norm", (512,))
    shapes |= _pair("feature_projection.projection", (768, 512))
    shapes |= {"masked_spec_embed": (768,), "encoder.pos_conv_embed.conv.bias": (768,)}
    shapes |= {"encoder.pos_conv_embed.conv.weight_g": (1, 1, 128)}
    shapes |= {"encoder.pos_conv_embed.conv.weight_v": (768, 48, 128)}
    shapes |= _pair("encoder.layer_norm", (768,)) | _pair("final_proj", (256, 768))
    for n in range(12):
        for layer, shape in HUBERT_LAYER.items():
            shapes |= _pair(f"encoder.layers.{n}.{layer}", shape)
    return {f"hubert.{name}": _meta(shape) for name, shape in shapes.items()}


def _flow(width: int, inner: int, layers: int) -> Tensors:
    """A flow renderer as the 1rvq file has it: a GPT-2 with adaptive norms and its training-only head."""
    shapes = {"wte.weight": (50257, width), "wpe.weight": (1000, width), "scale_shift_table": (2, width)}
    shapes |= _pair("ln_f", (width,)) | _pair("proj_out", (width, width))
    shapes |= _pair("adaln_single.emb.timestep_embedder.linear_1", (width, 512))
    shapes |= _pair("adaln_single.emb.timestep_embedder.linear_2", (width, width))
    shapes |= _pair("adaln_single.linear", (6 * width, width))
    for n in range(layers):
        shapes |= {f"h.{n}.scale_shift_table": (6, width)}
        shapes |= _pair(f"h.{n}.ln_1", (width,)) | _pair(f"h.{n}.ln_2", (width,))
        for layer, into, out in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, inner),
            ("mlp.c_proj", inner, width),
        ):
            shapes |= {f"h.{n}.{layer}.weight": (into, out), f"h.{n}.{layer}.bias": (out,)}
    head = _pair("0", (1024, width)) | _pair("2", (1024, 1024)) | _pair("4", (768, 1024))
    names = {f"estimator.{name}": shape for name, shape in shapes.items()}
    names |= {f"mlp.{name}": shape for name, shape in head.items()}
    return {f"cfm_wrapper.{name}": _meta(shape) for name, shape in names.items()}


def _pair(layer: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}


# Files ---------------------------------------------------------------------------------------------------


def write(path: Path, tensors: Tensors, wrapped: bool = False) -> Path:
    """Write a file of the size and kind that its name says, with zeros for weights.

    Args:
        path: whose ending is the format; folders are made.
        tensors: on the meta device.
        wrapped: under "state_dict", for pickles.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        _write_hole(path, tensors)
    else:
        zeros = {dtype: torch.zeros((), dtype=dtype) for dtype in {t.dtype for t in tensors.values()}}
        content = {name: zeros[t.dtype].expand(t.shape) for name, t in tensors.items()}
        torch.save({"state_dict": content} if wrapped else content, path)
    return path


def _write_hole(path: Path, tensors: Tensors) -> None:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        entry = {"dtype": SAFETENSORS_NAMES[tensor.dtype], "shape": list(tensor.shape)}
        header[name] = {**entry, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


@cache
def _lelm_file(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        return write(Path(folder) / "model.pt", lelm(name)).read_bytes()


@cache
def _vae_file() -> bytes:
    with TemporaryDirectory() as folder:
        return write(Path(folder) / "vae.ckpt", vae(), wrapped=True).read_bytes()


def write_release(folder: Path, name: str) -> Path:
    """A release as it is published, config.yaml and model.pt; gives the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.pt"
    path.write_bytes(_lelm_file(name))
    (folder / "config.yaml").write_text(config_text(name), encoding="utf-8")
    return path


def write_vae(folder: Path) -> Path:
    """The VAE with its json; gives the former."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "autoencoder_music_1320k.ckpt"
    path.write_bytes(_vae_file())
    (folder / "stable_audio_1920_vae.json").write_text(json.dumps(VAE_JSON), encoding="utf-8")
    return path


# Layouts -------------------------------------------------------------------------------------------------

# What a file is called where people choose it -> its kind, and how to write it with what lies beside it.
PARTS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    **{name: (Kind.LELM, lambda path, name=name: write_release(path.parent, name)) for name in CONFIGS},
    "septoken slim": (Kind.RENDERER, lambda path: write(path, septoken(full=False))),
    "septoken full": (Kind.RENDERER, lambda path: write(path, septoken(full=True))),
    "1rvq slim": (Kind.MIXED_ENCODER, lambda path: write(path, style_encoder(full=False))),
    "1rvq full": (Kind.MIXED_ENCODER, lambda path: write(path, style_encoder(full=True))),
    "autoencoder_music_1320k": (Kind.VAE, lambda path: write_vae(path.parent)),
    "htdemucs": (Kind.SEPARATOR, lambda path: write(path, separator())),
}


def _runtime(ckpt: str, third_party: str, generation: str) -> dict[str, str]:
    return {
        f"{ckpt}/model_1rvq/model_2_fixed.safetensors": f"1rvq {generation}",
        f"{ckpt}/model_septoken/model_2.safetensors": f"septoken {generation}",
        f"{ckpt}/vae/autoencoder_music_1320k.ckpt": "autoencoder_music_1320k",
        f"{third_party}/demucs/ckpt/htdemucs.pth": "htdemucs",
    }


# What lies where below the folder that people copy or link in: file -> its name in PARTS.
# Which generation of the tokenizer files eastmoe has is not known.
LAYOUTS: dict[str, dict[str, str]] = {
    "tencent": {
        **_runtime("ckpt", "third_party", "slim"),
        **{f"ckpt/songgeneration_{name.replace('-', '_')}/model.pt": name for name in CONFIGS},
    },
    "lglg666": {
        **_runtime("SongGeneration-Runtime/ckpt", "SongGeneration-Runtime/third_party", "full"),
        **{f"SongGeneration-{name}/model.pt": name for name in CONFIGS},
    },
    "eastmoe": {
        **_runtime("common", "third_party", "full"),
        **{f"SongGeneration-{name}/model.pt": name for name in ("v2-large", "base-full", "base-new")},
    },
}
CONTENT_VEC = "ckpt/models--lengyue233--content-vec-best"
# Files of the same repositories that are none of ours.
OTHERS: dict[str, Callable[[Path], object]] = {
    "ckpt/encode-s12k.pt": lambda path: write(path, {"model.encoder.embed.weight": _meta((4096, 1024))}),
    f"{CONTENT_VEC}/snapshots/main/model.safetensors": lambda path: write(path, hubert_alone()),
    f"{CONTENT_VEC}/snapshots/main/pytorch_model.bin": lambda path: write(path, hubert_alone()),
    f"{CONTENT_VEC}/refs/main": lambda path: path.write_text("main"),
    "third_party/hub/version.txt": lambda path: path.write_text("1"),
    "third_party/demucs/ckpt/htdemucs.yaml": lambda path: path.write_text("models: ['htdemucs']"),
    "README.md": lambda path: path.write_text("license: unknown"),
    ".gitattributes": lambda path: path.write_text("*.pt filter=lfs"),
}


def lay_out(folder: Path, layout: str) -> Path:
    """Fill a folder with one of LAYOUTS, and with OTHERS beside it; gives the folder."""
    for path, name in LAYOUTS[layout].items():
        PARTS[name][1](folder / path)
    for path, make in OTHERS.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        make(folder / path)
    return folder
