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
            width=lm["dim"],
            inner=lm["intermediate_size"],
            heads=lm["num_heads"],
            layers=lm["num_layers"],
            layers_sub=lm["num_layers_sub"],
            lyric_length=_find(texts["description"], "max_len"),
            style_length=_find(texts["type_info"], "max_len"),
            max_seconds=content["max_dur"],
            rope_theta=lm["rope_theta"],
            rope_theta_sub=lm["rope_theta_sub"],
            delays=tuple(_find(content["codebooks_pattern"], "delays")),
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not the config of a SongGeneration release (no {error}); download it again."
        ) from error


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
