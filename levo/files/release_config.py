"""What the files beside released weights say: the config.yaml of a LeLM and the json of the VAE.

They are read as plain data. The two interpolations that releases use are understood by their form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import CODES, SAMPLE_RATE, LelmConfig, VaeConfig
from ..text.tags import TAGS
from . import config_limits
from .plain_data import PlainDataError, from_json, from_yaml, read_text, shown
from .tensor_file import CheckpointError

STREAMS = 3  # mixed, vocal, accompaniment
CONFIG = "config.yaml"
VAE_CONFIG = "stable_audio_1920_vae.json"
PRODUCT = re.compile(r"\$\{eval:\$\{(\w+)\}\*\$\{(\w+)\}\+(\d{1,9})\}")
VOCABULARY = "${load_yaml:conf/vocab.yaml}"
SECTIONS = [f"[{tag}]" for tag in TAGS]  # what that file lists
FACTOR = config_limits.Number(0, 1_000_000)
UNREADABLE = ("it is no JSON", "it is no YAML", "it is no text in UTF-8")  # says no more than that
# Our fields -> what the files call them.
LELM_KEYS = {
    "width": "dim",
    "inner": "intermediate_size",
    "heads": "num_heads",
    "layers": "num_layers",
    "layers_sub": "num_layers_sub",
    "rope_theta": "rope_theta",
    "rope_theta_sub": "rope_theta_sub",
    "lyric_length": "max_len",
    "style_length": "max_len",
    "max_seconds": "max_dur",
}
ELSEWHERE = ("lyric_length", "style_length", "max_seconds")  # not below `lm`
VAE_KEYS = {
    "channels": "channels",
    "multiples": "c_mults",
    "strides": "strides",
    "latent": "latent_dim",
    "audio_channels": "out_channels",
}


def read_config(path: Path, version: str) -> LelmConfig:
    """Read a released config.yaml.

    Raises:
        CheckpointError: the file is missing, broken, lacks a value or asks for what the model is not
            made for; names it.
    """
    return _read(path, "config of a SongGeneration release", from_yaml, lambda c: _lelm(c, version))


def read_vae_config(path: Path) -> VaeConfig:
    """Read the json that comes with the released VAE.

    Raises:
        CheckpointError: as `read_config`.
    """
    return _read(path, "config of the released VAE", from_json, _vae)


def _read(path: Path, what: str, parse: Callable[[str], Any], build: Callable[[Any], Any]) -> Any:
    if not os.path.lexists(path):
        raise CheckpointError(f"{path} is missing; put it beside the weights it was published with.")
    try:
        content = parse(read_text(path))
    except PlainDataError as error:
        reason = "" if str(error) in UNREADABLE else f" ({error})"
        raise CheckpointError(f"{path} cannot be read{reason}; download it again.") from error
    except OSError as error:
        advice = "give ComfyUI the right to read it" if isinstance(error, PermissionError) else "mend it"
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); {advice}.") from error
    try:
        return build(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{path} is not the {what} ({reason}); download it again.") from error


def _lelm(content: Any, version: str) -> LelmConfig:
    content = _resolved(content, content, "")
    lm, texts = content["lm"], content["conditioners"]
    sizes = {field: _find(lm, key) for field, key in LELM_KEYS.items() if field not in ELSEWHERE}
    delays = _find(content["codebooks_pattern"], "delays")
    config = LelmConfig(
        version=version,
        lyric_length=_find(texts["description"], "max_len"),
        style_length=_find(texts["type_info"], "max_len"),
        max_seconds=_find(content, "max_dur"),
        delays=tuple(delays) if isinstance(delays, list) else delays,
        **sizes,
    )
    config_limits.check(config, LELM_KEYS)
    _require(lm, "code_depth", STREAMS)
    _require(lm, "code_size", CODES)
    _require(texts["prompt_audio"], "max_len", config.prompt_length)
    _require(texts["description"], "add_token_list", SECTIONS)
    return replace(
        config,
        max_seconds=float(config.max_seconds),
        rope_theta=float(config.rope_theta),
        rope_theta_sub=float(config.rope_theta_sub),
    )


def _vae(content: Any) -> VaeConfig:
    model = content["model"]
    encoder, decoder = model["encoder"]["config"], model["decoder"]["config"]
    sizes: dict[str, Any] = {field: _find(decoder, key) for field, key in VAE_KEYS.items()}
    for field in ("multiples", "strides"):
        sizes[field] = tuple(sizes[field]) if isinstance(sizes[field], list) else sizes[field]
    config = VaeConfig(**sizes)
    config_limits.check(config, VAE_KEYS)
    for key in ("channels", "c_mults", "strides"):
        _require(encoder, key, decoder[key])
    _require(encoder, "latent_dim", 2 * config.latent)  # mean and scale
    _require(decoder, "use_snake", True)
    _require(decoder, "final_tanh", False)
    _require(model, "downsampling_ratio", config.ratio)
    _require(content, "sample_rate", SAMPLE_RATE)
    return config


def _resolved(tree: Any, whole: dict, at: str) -> Any:
    """`tree` with its interpolations replaced by what they stand for; `at` is its key from the top."""
    if isinstance(tree, dict):
        return {key: _resolved(value, whole, f"{at}.{key}".lstrip(".")) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_resolved(value, whole, at) for value in tree]
    if not isinstance(tree, str) or "${" not in tree:
        return tree
    if tree == VOCABULARY:
        return SECTIONS
    if product := PRODUCT.fullmatch(tree):
        one, other, more = product.groups()
        return _number(whole, one) * _number(whole, other) + int(more)
    raise ValueError(f"{at} is {shown(tree)}, which is not understood")


def _require(tree: Any, key: str, expected: Any) -> None:
    value = _find(tree, key)
    if type(value) is not type(expected) or value != expected:  # for Python true is 1, and 48000.0 is 48000
        raise ValueError(f"{key} is {shown(value)}, not {expected!r}")


def _number(tree: Any, key: str) -> int:
    value = _find(tree, key)
    if wrong := FACTOR.objection(value):
        raise ValueError(f"{key} is {shown(value)}, not {wrong}")
    return value


def _find(tree: Any, key: str) -> Any:
    """The value of `key` at any depth; released files nest it under the name of the conditioner's class."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        for branch in tree.values():
            try:
                return _find(branch, key)
            except KeyError:
                continue
    raise KeyError(key)
