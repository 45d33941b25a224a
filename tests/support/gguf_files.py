"""GGUF files of LeVo 2 as public converters make them, by the `gguf` writer: names and rules of formats.md.

Files of weights are small; files of full size are a header and a hole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from levo.config import LelmConfig, RendererConfig, VaeConfig
from support.kquants import SIZES, quantise

Type = Callable[[str, tuple[int, ...]], str]  # name and shape of a tensor -> type of its numbers
Arrays = dict[str, np.ndarray]

PERIOD = 1_000  # rows
FLOW_MATRICES = re.compile(r"flow\.block\.\d+\.(attn\.(qkv|out)|ffn\.(in|out))\.weight")
KEPT = re.compile(
    r"(token_embd|output|cond)\..*|bridge\.\d\.weight|.*\.(attn_v|attn_output|ffn_down)\.weight"
    r"|flow\.block\.\d+\.(attn|ffn)\.out\.weight"
)
COND = "condition_provider.conditioners"
LELM_NAMES = {
    "emb.0.weight": "token_embd.mixed",
    "layer2_emb.1.weight": "token_embd.vocal",
    "layer2_emb.2.weight": "token_embd.bgm",
    "transformer.lm_head.weight": "output.mixed",
    "linears.0.weight": "output.vocal",
    "linears.1.weight": "output.bgm",
    "mlp.0.weight": "bridge.0.weight",
    "mlp.0.bias": "bridge.0.bias",
    "mlp.2.weight": "bridge.2.weight",
    "mlp.2.bias": "bridge.2.bias",
    f"{COND}.description.output_proj.weight": "cond.lyrics.weight",
    f"{COND}.description.structure_emb.weight": "cond.structure.weight",
    f"{COND}.type_info.output_proj.weight": "cond.style.weight",
    f"{COND}.prompt_audio.emb.0.weight": "cond.prompt_embd.mixed.weight",
    f"{COND}.prompt_audio.emb.1.weight": "cond.prompt_embd.vocal.weight",
    f"{COND}.prompt_audio.emb.2.weight": "cond.prompt_embd.bgm.weight",
    f"{COND}.prompt_audio.EOT_emb": "cond.prompt_eot.mixed",
    f"{COND}.prompt_audio.layer2_EOT_emb": "cond.prompt_eot.detail",
    "transformer.model.norm.weight": "main.output_norm",
    "transformer2.model.norm.weight": "detail.output_norm",
}
LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
FLOW_NAMES = {
    "mask_emb": "flow.mask_embedding",
    "zero_cond_embedding1": "flow.null_condition.weight",
    "cfm_wrapper.estimator.wpe": "flow.position_embedding",
    "cfm_wrapper.estimator.adaln_single.emb.timestep_embedder": "flow.time_embedding",
    "cfm_wrapper.estimator.adaln_single.linear": "flow.time_modulation",
    "cfm_wrapper.estimator.scale_shift_table": "flow.final_modulation.weight",
    "cfm_wrapper.estimator.ln_f": "flow.final_norm",
    "cfm_wrapper.estimator.proj_out": "flow.output",
    "rvq_bestrq_emb.quantizers.0": "flow.rvq.vocal",
    "rvq_bestrq_bgm_emb.quantizers.0": "flow.rvq.bgm",
    "normfeat": "flow.norm",
}
FLOW_LAYERS = {
    "ln_1": "norm_1",
    "ln_2": "norm_2",
    "attn.c_attn": "attn.qkv",
    "attn.c_proj": "attn.out",
    "mlp.c_fc": "ffn.in",
    "mlp.c_proj": "ffn.out",
}

# Names ---------------------------------------------------------------------------------------------------


def lelm_name(source: str) -> str | None:
    """What a released tensor of LeLM is called; None for those that are left out."""
    source = source.removeprefix("audiolm.")
    if source in LELM_NAMES:
        return LELM_NAMES[source]
    match = re.fullmatch(r"(transformer2?)\.model\.layers\.(\d+)\.(.*)", source)
    if not match:
        return None
    tower = "main" if match[1] == "transformer" else "detail"
    return f"{tower}.blk.{match[2]}.{LAYER_NAMES[match[3]]}"


def flow_name(source: str) -> str | None:
    """The same of the flow; the folded weight stands for its gain and direction."""
    if source.startswith(("bestrq.", "hubert.", "cfm_wrapper.mlp.", "cfm_wrapper.estimator.wte.")):
        return None
    if source.endswith(("weight_g", "stale_counter", "sum_target_x2", "kernel")) or ".in_proj." in source:
        return None
    source = source.replace("weight_v", "weight")
    if match := re.fullmatch(r"cfm_wrapper\.estimator\.h\.(\d+)\.(.*)", source):
        if match[2] == "scale_shift_table":
            return f"flow.block.{match[1]}.modulation.weight"
        layer, _, leaf = match[2].rpartition(".")
        return f"flow.block.{match[1]}.{FLOW_LAYERS[layer]}.{leaf}"
    begin = max((b for b in FLOW_NAMES if source == b or source.startswith(f"{b}.")), key=len)
    return FLOW_NAMES[begin] + source.removeprefix(begin)


def vae_name(source: str) -> str | None:
    """The same of the VAE's decoder."""
    if not source.startswith("decoder.") or source.endswith("weight_g"):
        return None
    *path, leaf = source.removeprefix("decoder.layers.").replace(".layers.", ".").split(".")
    leaf = {"weight_v": "weight", "alpha": "alpha_log", "beta": "beta_log"}.get(leaf, leaf)
    first, *rest = map(int, path)
    if first == 0:
        return f"vae.decoder.input.{leaf}"
    if not rest:
        return f"vae.decoder.output.{leaf}"
    layer, *deeper = rest
    if layer < 2:
        return f"vae.decoder.stage.{first - 1}.upsample{('.activation', '')[layer]}.{leaf}"
    part = ("pre", "conv.0", "post", "conv.1")[deeper[0]]
    return f"vae.decoder.stage.{first - 1}.residual.{layer - 2}.{part}.{leaf}"


# Types ---------------------------------------------------------------------------------------------------


def profile(name: str) -> Type:
    """Which type each tensor of LeLM or of the VAE has in a file of a profile."""
    base = name.removesuffix("_M")

    def of(tensor: str, shape: tuple[int, ...]) -> str:
        if name in ("F16", "F32"):
            return name
        if len(shape) < 2:
            return "F32"
        return "Q6_K" if name.endswith("_M") and KEPT.fullmatch(tensor) else base

    return of


def flow_profile(name: str) -> Type:
    """The same of the flow, of which the matrices of blocks alone are packed."""
    inner = profile(name)

    def of(tensor: str, shape: tuple[int, ...]) -> str:
        return inner(tensor, shape) if name == "F16" or FLOW_MATRICES.fullmatch(tensor) else "F32"

    return of


def padded(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    """Shape of a matrix whose rows are filled up to whole blocks."""
    return (*shape[:-1], -(-shape[-1] // SIZES.get(kind, 1)) * SIZES.get(kind, 1))


# Metadata ------------------------------------------------------------------------------------------------


def lelm_values(config: LelmConfig) -> dict[str, Any]:
    """What a `levo2` file says beside its tensors."""
    return {
        "levo2.schema_version": 1,
        "levo2.main.block_count": config.layers,
        "levo2.detail.block_count": config.layers_sub,
        "levo2.embedding_length": config.width,
        "levo2.feed_forward_length": config.inner,
        "levo2.attention.head_count": config.heads,
        "levo2.attention.kv_head_count": config.heads,
        "levo2.context_length": 10_000,
        "levo2.codebook.count": 3,
        "levo2.codebook.size": 16_384,
        "levo2.token.eos_id": 16_384,
        "levo2.token.special_id": 16_385,
        "levo2.audio.frame_rate": 25,
        "levo2.audio.sample_rate": 48_000,
        "levo2.condition.lyrics_prefix_length": config.lyric_length,
        "levo2.condition.prompt_prefix_length": 252,
        "levo2.condition.style_prefix_length": config.style_length,
        "levo2.rms_norm_epsilon": 1e-5,
        "levo2.main.rope_theta": float(config.rope_theta),
        "levo2.detail.rope_theta": float(config.rope_theta_sub),
        "levo2.pattern.delays": list(config.delays),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"token {n}" for n in range(1_000)],
        "levo2.tokenizer.config.json": "{}" * 10_000,
    }


def flow_values(config: RendererConfig) -> dict[str, Any]:
    """The same of a `levo2_flow` file."""
    values = {
        "hidden_size": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "head_dim": config.width // config.heads,
        "intermediate_size": config.inner,
        "max_frames": config.window,
        "codebook_size": 16_384,
        "codebook_dim": config.code_width,
        "condition_dim": config.condition,
        "latent_dim": config.latent,
        "mask_dim": config.mask,
        "time_embedding_dim": config.time,
        "overlap_frames": config.overlap,
        "rope_theta": 10_000.0,
        "rvq_weight_norm_folded": True,
    }
    return {"levo2.schema_version": 1} | {f"levo2.flow.{key}": value for key, value in values.items()}


def vae_values(config: VaeConfig) -> dict[str, Any]:
    """The same of a `levo2_vae` file."""
    values = {
        "sample_rate": 48_000,
        "audio_channels": 2,
        "latent_dim": config.latent,
        "channels": config.channels,
        "downsampling_ratio": config.ratio,
        "decoder.stage_count": len(config.strides),
        "c_mults": list(config.multiples),
        "strides": list(config.strides),
        "use_snake_beta": True,
        "final_tanh": False,
        "weight_norm_folded": True,
    }
    return {"levo2.schema_version": 1} | {f"levo2.vae.{key}": value for key, value in values.items()}


def songgen_values(config: LelmConfig) -> dict[str, Any]:
    """The same of a `songgen-lelm` file."""
    return {
        "songgen-lelm.block_count": config.layers,
        "songgen-lelm.embedding_length": config.width,
        "songgen-lelm.feed_forward_length": config.inner,
        "songgen-lelm.attention.head_count": config.heads,
        "songgen-lelm.attention.head_count_kv": config.heads,
        "songgen-lelm.rope.freq_base": float(config.rope_theta),
        "songgen-lelm.attention.layer_norm_rms_epsilon": 9.999e-6,
        "songgen.num_layers_sub": config.layers_sub,
        "songgen.rope_theta_sub": float(config.rope_theta_sub),
        "songgen.code_depth": 3,
        "songgen.code_size": 16_384,
        "songgen.delays": list(config.delays),
        "songgen.frame_rate": 25,
        "songgen.cfg_coef": 1.5,
        "songgen.prompt_len": 10,
    }


# Files ---------------------------------------------------------------------------------------------------


def periodic(values: np.ndarray, rows: int) -> np.ndarray:
    """A large table whose rows come again and again, which takes no time to pack."""
    return np.resize(values[:PERIOD], (rows, values.shape[1]))


def packed(array: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of a matrix with padding, and its floats without."""
    more = padded(array.shape, kind)[-1] - array.shape[-1]
    few = array[:PERIOD] if len(array) > 100 * PERIOD else array
    data, floats = quantise(np.pad(few, ((0, 0), (0, more))), kind)
    floats = floats[:, : array.shape[-1]]
    if few is array:
        return data, floats
    return np.resize(data, (len(array), data.shape[1])), np.resize(floats, array.shape)


def _writer(path: Path, architecture: str | None, values: Mapping[str, Any]) -> gguf.GGUFWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture or "")
    if architecture is None:
        writer.kv_data[0].clear()
    for key, value in values.items():
        add = {
            bool: writer.add_bool,
            float: writer.add_float32,
            str: writer.add_string,
            list: writer.add_array,
        }
        add.get(type(value), writer.add_uint32)(key, value)
    return writer


def write(
    path: Path, architecture: str | None, values: Mapping[str, Any], tensors: Arrays, kind: Type
) -> Arrays:
    """Write a small file; gives the floats that its numbers stand for, unpadded."""
    writer, floats = _writer(path, architecture, values), {}
    for name, array in tensors.items():
        chosen = kind(name, array.shape)
        if chosen in SIZES:
            data, floats[name] = packed(array, chosen)
            writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[chosen])
        else:
            data = array.astype({"F16": np.float16, "F32": np.float32}[chosen])
            floats[name] = data.astype(np.float32)
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return floats


def write_hole(
    path: Path,
    architecture: str,
    values: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    kind: Type,
) -> int:
    """Write a file of full size that takes no disk; gives the bytes of its tensors."""
    writer, total = _writer(path, architecture, values), 0
    for name, shape in shapes.items():
        chosen = gguf.GGMLQuantizationType[kind(name, shape)]
        shape = padded(shape, chosen.name)
        block, size = gguf.GGML_QUANT_SIZES[chosen]
        nbytes = int(np.prod(shape)) // block * size
        dtype = np.dtype({"F16": np.float16, "F32": np.float32}.get(chosen.name, np.uint8))
        stored = gguf.quants.quant_shape_to_byte_shape(shape, chosen) if dtype == np.uint8 else shape
        writer.add_tensor_info(name, stored, dtype, nbytes, raw_dtype=chosen)
        total += -(-nbytes // 32) * 32
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        file.truncate(end + -end % 32 + total)
    return total
