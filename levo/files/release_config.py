"""What the files beside released weights say: the config.yaml of a LeLM and the json of the VAE.

They are read as plain data. The two interpolations that releases use are understood by their form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ..config import CODES, SAMPLE_RATE, LelmConfig, VaeConfig
from ..text.lyrics import TAGS
from .tensor_file import CheckpointError

STREAMS = 3  # mixed, vocal, accompaniment
CONFIG = "config.yaml"
VAE_CONFIG = "stable_audio_1920_vae.json"
PRODUCT = re.compile(r"\$\{eval:\$\{(\w+)\}\*\$\{(\w+)\}\+(\d+)\}")
VOCABULARY = "${load_yaml:conf/vocab.yaml}"
SECTIONS = [f"[{tag}]" for tag in TAGS]  # what that file lists


def read_config(path: Path, version: str) -> LelmConfig:
    """Read a released config.yaml.

    Raises:
        CheckpointError: the file is missing, broken, lacks a value or asks for what the model is not
            made for; names it.
    """
    return _read(path, "config of a SongGeneration release", yaml.safe_load, lambda c: _lelm(c, version))


def read_vae_config(path: Path) -> VaeConfig:
    """Read the json that comes with the released VAE.

    Raises:
        CheckpointError: as `read_config`.
    """
    return _read(path, "config of the released VAE", json.loads, _vae)


def _read(path: Path, what: str, parse: Callable[[str], Any], build: Callable[[Any], Any]) -> Any:
    if not path.exists():
        raise CheckpointError(f"{path} is missing; put it beside the weights it was published with.")
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read; download it again.") from error
    try:
        return build(content)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path} is not the {what} ({reason}); download it again.") from error


def _lelm(content: Any, version: str) -> LelmConfig:
    content = _resolved(content, content, "")
    lm, texts = content["lm"], content["conditioners"]
    delays = tuple(int(d) for d in _find(content["codebooks_pattern"], "delays"))
    if len(delays) != STREAMS:
        raise ValueError(f"delays are {list(delays)!r}, not {STREAMS} numbers")
    config = LelmConfig(
        version=version,
        width=_number(lm, "dim", int),
        inner=_number(lm, "intermediate_size", int),
        heads=_number(lm, "num_heads", int),
        layers=_number(lm, "num_layers", int),
        layers_sub=_number(lm, "num_layers_sub", int),
        lyric_length=_number(texts["description"], "max_len", int),
        style_length=_number(texts["type_info"], "max_len", int),
        max_seconds=_number(content, "max_dur", float),
        rope_theta=_number(lm, "rope_theta", float),
        rope_theta_sub=_number(lm, "rope_theta_sub", float),
        delays=(delays[0], delays[1], delays[2]),
    )
    _require(lm, "code_depth", STREAMS)
    _require(lm, "code_size", CODES)
    _require(texts["prompt_audio"], "max_len", config.prompt_length)
    _require(texts["description"], "add_token_list", SECTIONS)
    return config


def _vae(content: Any) -> VaeConfig:
    model = content["model"]
    encoder, decoder = model["encoder"]["config"], model["decoder"]["config"]
    config = VaeConfig(
        channels=_number(decoder, "channels", int),
        multiples=tuple(decoder["c_mults"]),
        strides=tuple(decoder["strides"]),
        latent=_number(decoder, "latent_dim", int),
        audio_channels=_number(decoder, "out_channels", int),
    )
    for key in ("channels", "c_mults", "strides"):
        _require(encoder, key, decoder[key])
    if len(config.multiples) != len(config.strides):
        raise ValueError("c_mults and strides differ in length")
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
        return _number(whole, one, int) * _number(whole, other, int) + int(more)
    raise ValueError(f"{at} is {tree!r}, which is not understood")


def _require(tree: Any, key: str, wanted: Any) -> None:
    found = _find(tree, key)
    if found != wanted:
        raise ValueError(f"{key} is {found!r}, not {wanted!r}")


def _number(tree: Any, key: str, kind: type) -> Any:
    value = _find(tree, key)
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key} is {value!r}, not a number") from None


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
