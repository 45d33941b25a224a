"""What the config.yaml of a released LeLM says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .checkpoint import CheckpointError
from .config import LelmConfig


def read_config(path: Path, version: str) -> LelmConfig:
    """Read a released config.yaml as plain YAML; its interpolations stay unread text.

    Raises:
        CheckpointError: the file is missing, broken or lacks a value; names it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CheckpointError(f"{path} cannot be read; download it again.") from error
    try:
        lm, texts = content["lm"], content["conditioners"]
        return LelmConfig(
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
            delays=tuple(int(d) for d in _find(content["codebooks_pattern"], "delays")),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(
            f"{path} is not the config of a SongGeneration release ({reason}); download it again."
        ) from error


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
