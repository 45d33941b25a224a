"""Configs of the models in GGUF files, by their metadata; what it does not say follows from shapes.

What is no size of ours has to be as these models were published: codes, rates, what a norm adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import (
    CODES,
    END,
    FRAME_RATE,
    RELEASED_CONFIGS,
    SAMPLE_RATE,
    STYLE_ROWS,
    LelmConfig,
    RendererConfig,
    VaeConfig,
)
from . import config_limits
from .damage import display_name
from .plain_data import shown
from .tensor_file import CheckpointError

Values = Mapping[str, Any]  # metadata
Tensors = Mapping[str, Tensor]  # by the file's names

SCHEMA = 1  # of the levo2 architectures
NORM_EPS = 1e-5
RELEASED = RELEASED_CONFIGS["v2-medium"]  # has what all of v2 have alike
# Our fields -> what the files call them, behind one of the prefixes.
LEVO2 = ("levo2.",)
LELM_KEYS = {
    "width": ("embedding_length",),
    "inner": ("feed_forward_length",),
    "heads": ("attention.head_count", "head_count"),
    "layers": ("main.block_count", "block_count"),
    "layers_sub": ("detail.block_count", "num_layers_sub"),
    "rope_theta": ("main.rope_theta", "rope.freq_base"),
    "rope_theta_sub": ("detail.rope_theta", "rope_theta_sub"),
    "lyric_length": ("condition.lyrics_prefix_length",),
    "style_length": ("condition.style_prefix_length",),
    "delays": ("pattern.delays", "delays"),
}
SIZES = ("width", "inner", "heads", "layers", "layers_sub")  # which nothing else says for all
LELM_CONSTANTS = {
    "codebook.count": 3,
    "code_depth": 3,
    "codebook.size": CODES,
    "code_size": CODES,
    "token.eos_id": END,
    "audio.frame_rate": FRAME_RATE,
    "frame_rate": FRAME_RATE,
    "audio.sample_rate": SAMPLE_RATE,
    "condition.prompt_prefix_length": RELEASED.prompt_length,
    "rms_norm_epsilon": NORM_EPS,
    "attention.layer_norm_rms_epsilon": NORM_EPS,
}
STYLE_TABLES = (
    "cond.style.weight",
    "condition_provider.conditioners.type_info.output_proj.weight",
)
FLOW_KEYS = {
    "layers": ("n_layer",),
    "heads": ("n_head",),
    "inner": ("intermediate_size",),
    "mask": ("mask_dim",),
    "latent": ("latent_dim",),
    "condition": ("condition_dim",),
    "code_width": ("codebook_dim",),
    "time": ("time_embedding_dim",),
    "window": ("max_frames",),
    "overlap": ("overlap_frames",),
}
FLOW_CONSTANTS = {
    "codebook_size": CODES,
    "sample_rate": SAMPLE_RATE,
    "frame_rate": FRAME_RATE,
    "rope_theta": 10_000,
    "time_embedding_scale": 1_000,
    "rvq_weight_norm_folded": True,
}
VAE_KEYS = {
    "channels": ("channels",),
    "latent": ("latent_dim",),
    "audio_channels": ("audio_channels",),
    "multiples": ("c_mults",),
    "strides": ("strides",),
}
VAE_CONSTANTS = {
    "sample_rate": SAMPLE_RATE,
    "downsampling_ratio": VaeConfig().ratio,
    "decoder.residual_units_per_stage": 3,
    "use_snake_beta": True,
    "final_tanh": False,
    "soft_clip": False,
    "weight_norm_folded": True,
}


def gguf_config(path: Path, architecture: str, values: Values, tensors: Tensors) -> Any:
    """Config of the model in a GGUF file.

    Args:
        path: of the file, for messages.
        architecture: that the file says it has.
        values: its metadata.
        tensors: its tensors, on any device.

    Raises:
        CheckpointError: a value is missing, or none that a model can be built with.
    """
    try:
        config = READERS[architecture](values, tensors)
        config_limits.check(config)
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{display_name(path)} has broken metadata ({error}); download it again."
        ) from error
    return config


def _levo2(values: Values, tensors: Tensors) -> LelmConfig:
    _require_schema(values)
    return _lelm(values, LEVO2, tensors)


def _songgen(values: Values, tensors: Tensors) -> LelmConfig:
    return _lelm(values, ("songgen-lelm.", "songgen."), tensors)


def _lelm(values: Values, prefixes: tuple[str, ...], tensors: Tensors) -> LelmConfig:
    declared = _declared(values, prefixes, LELM_KEYS)
    for field in SIZES:
        if field not in declared:
            raise ValueError(f"no {LELM_KEYS[field][0]}")
    _require_constants(values, prefixes, LELM_CONSTANTS)
    for key in ("attention.kv_head_count", "attention.head_count_kv"):
        _require_constants(values, prefixes, {key: declared["heads"]})
    rows = next((tensors[name].shape[0] for name in STYLE_TABLES if name in tensors), None)
    version = next((v for v, known in STYLE_ROWS.items() if known == rows), None)
    if version is None:
        raise ValueError("its style table is of no known release")
    config = LelmConfig(**{"version": version, **_as_released(version, declared), **declared})
    config_limits.check(config)
    return _within_context(config, values, prefixes)


def _as_released(version: str, declared: Values) -> dict[str, Any]:
    """What files do not say, as the release of the same sizes has it, or else v2."""
    fields = ("lyric_length", "style_length", "max_seconds", "rope_theta", "rope_theta_sub", "delays")
    alike = [
        config
        for config in RELEASED_CONFIGS.values()
        if config.version == version
        and all(getattr(config, f) == declared[f] for f in (*SIZES, "rope_theta") if f in declared)
    ]
    config = (alike or [RELEASED])[-1]
    return {field: getattr(config, field) for field in fields}


def _within_context(config: LelmConfig, values: Values, prefixes: tuple[str, ...]) -> LelmConfig:
    """A config whose longest song fits into the positions that a file says it has."""
    positions = _value(values, prefixes, "context_length")
    if positions is None:
        return config
    if type(positions) is not int:
        raise ValueError(f"context_length is {shown(positions)}, not a whole number")
    frames = positions - config.prefix_length - max(config.delays) - 1
    if frames < FRAME_RATE:
        raise ValueError(f"context_length is {positions:,}, which leaves no room for a song")
    seconds = min(config.max_seconds, frames // FRAME_RATE)
    return replace(config, max_seconds=float(seconds))


def _flow(values: Values, tensors: Tensors) -> RendererConfig:
    _require_schema(values)
    prefixes = ("levo2.flow.",)
    known = {
        "layers": config_limits.count(tensors, r"flow\.block\.(\d+)\..*"),
        "inner": config_limits.size(tensors, "flow.block.0.ffn.in.weight", 0),
        "mask": config_limits.size(tensors, "flow.mask_embedding.weight", 1),
        "latent": config_limits.size(tensors, "flow.norm.sum_x", 0),
        "condition": config_limits.size(tensors, "flow.rvq.vocal.out_proj.weight", 0),
        "code_width": config_limits.size(tensors, "flow.rvq.vocal.codebook.weight", 1),
        "time": config_limits.size(tensors, "flow.time_embedding.linear_1.weight", 1),
        "window": config_limits.size(tensors, "flow.position_embedding.weight", 0),
    }
    fields = {field: size for field, size in known.items() if size} | _declared(values, prefixes, FLOW_KEYS)
    config = RendererConfig(**fields)
    config_limits.check(config)
    _require_constants(values, prefixes, {**FLOW_CONSTANTS, "hidden_size": config.width})
    return config


def _vae(values: Values, tensors: Tensors) -> VaeConfig:
    _require_schema(values)
    prefixes = ("levo2.vae.",)
    fields = _vae_sizes(tensors) | _declared(values, prefixes, VAE_KEYS)
    _require_constants(values, prefixes, VAE_CONSTANTS)
    return VaeConfig(**fields)


def _vae_sizes(tensors: Tensors) -> dict[str, Any]:
    """Sizes that the shapes of the decoder tell; what of them is nonsense, its limits tell."""
    stages = config_limits.count(tensors, r"vae\.decoder\.stage\.(\d+)\.upsample\.weight")
    shapes = [tuple(tensors[f"vae.decoder.stage.{n}.upsample.weight"].shape) for n in range(stages)]
    if not shapes or any(len(shape) != 3 for shape in shapes):
        return {}
    channels = shapes[-1][1]
    return {
        "channels": channels,
        "multiples": tuple(shape[0] // channels for shape in reversed(shapes)),
        "strides": tuple(shape[2] // 2 for shape in reversed(shapes)),
        "latent": config_limits.size(tensors, "vae.decoder.input.weight", 1),
        "audio_channels": config_limits.size(tensors, "vae.decoder.output.weight", 0),
    }


READERS: dict[str, Callable[[Values, Tensors], Any]] = {
    "levo2": _levo2,
    "levo2_flow": _flow,
    "levo2_vae": _vae,
    "songgen-lelm": _songgen,
}


def _require_schema(values: Values) -> None:
    schema = values.get("levo2.schema_version", SCHEMA)
    if schema != SCHEMA:
        raise ValueError(f"levo2.schema_version is {shown(schema)}, and {SCHEMA} is read")


def _declared(
    values: Values, prefixes: tuple[str, ...], keys: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Fields of a config that metadata say."""
    values_of = {field: _value(values, prefixes, *names) for field, names in keys.items()}
    lists = {
        field: tuple(value) if isinstance(value, list) else value for field, value in values_of.items()
    }
    return {field: value for field, value in lists.items() if value is not None}


def _value(values: Values, prefixes: tuple[str, ...], *names: str) -> Any:
    """What the first of some keys says; None if there is none of them."""
    candidates = (values[prefix + name] for name in names for prefix in prefixes if prefix + name in values)
    return next(candidates, None)


def _require_constants(values: Values, prefixes: tuple[str, ...], constants: Mapping[str, Any]) -> None:
    """Raises ValueError: a value is said, and is another than these models have."""
    for key, number in constants.items():
        declared = _value(values, prefixes, key)
        if declared is None:
            continue
        if not _is_same(declared, number):
            raise ValueError(f"{key} is {shown(declared)}, not {number}")


def _is_same(declared: object, number: float) -> bool:
    """Whether metadata say a number; fractions are rounded there, to float32."""
    if not isinstance(declared, (int, float)) or isinstance(declared, bool) != isinstance(number, bool):
        return False
    return declared == number if isinstance(number, int) else math.isclose(declared, number, rel_tol=1e-4)
