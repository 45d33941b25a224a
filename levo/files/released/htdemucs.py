"""HTDemucs: the model is the package's own, so names stay; its config is told by what is in the file.

Sizes follow from the shapes of the tensors, the rest from what lies beside them.

Three forms are published: tensors alone (SongGeneration), a package with the arguments of the class in a
pickle (Meta), and the same with the arguments as JSON in the metadata of a safetensors file (demucs-infer).
Nothing in them is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...config import SeparatorConfig
from ...kinds import Kind
from ...separator.model import ARGUMENTS
from .. import config_limits, pickles
from ..damage import display_name
from ..pickles import StandIn
from ..plain_data import from_json
from ..tensor_file import SAFETENSORS, CheckpointError, Inventory
from .layout import Layout, Source

CLASS = "HTDemucs"
STEMS = {"drums", "bass", "other", "vocals"}
SEGMENT = 10  # seconds, where a package does not say
MAX_SECONDS = 60
MAX_SHARES = 44_100  # of a second; a float is never quite what was meant
LAYER = re.compile(r"crosstransformer\.layers\.(\d+)\..*")


def separator_layout(model: nn.Module) -> Layout:
    """Layout of `htdemucs.pth` and of Meta's files, for a model of the file's config."""
    return Layout(Kind.SEPARATOR, {name: Source((name,)) for name in model.state_dict()}, ())


def separator_config(path: Path, inventory: Inventory) -> SeparatorConfig:
    """Config of the HTDemucs in a file of any of the three forms.

    Args:
        path: of the file.
        inventory: what it says of itself.

    Raises:
        CheckpointError: it cannot be read, or is another model than the four stems of HTDemucs.
    """
    try:
        sizes = _sizes(inventory.tensors)
    except ValueError as error:
        raise CheckpointError(f"{display_name(path)} is not an HTDemucs; choose htdemucs.pth.") from error
    package = _package(path, inventory)
    if package is None:
        return _checked(path, SeparatorConfig(**sizes))
    reason = _objection(package)
    if reason:
        raise CheckpointError(f"{display_name(path)} {reason}; choose a plain htdemucs with four stems.")
    arguments = package["kwargs"]
    stems = tuple(_plural(name) for name in arguments["sources"])
    sizes |= {"stems": stems, "segment": _fraction(arguments.get("segment", SEGMENT))}
    return _checked(path, SeparatorConfig(**sizes))


def _checked(path: Path, config: SeparatorConfig) -> SeparatorConfig:
    try:
        config_limits.check(config)
    except ValueError as error:
        raise CheckpointError(f"{display_name(path)} is not an HTDemucs ({error}).") from error
    return config


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of SeparatorConfig that follow from the shapes of a file's tensors.

    Raises:
        ValueError: these are not the tensors of an HTDemucs.
    """
    try:
        channels = tensors["encoder.0.conv.weight"].shape[0]
        hidden = tensors["encoder.0.dconv.layers.0.0.weight"].shape[0]
        bottom = tensors["channel_upsampler.weight"].shape[0]
        layers = [int(match[1]) for name in tensors if (match := LAYER.fullmatch(name))]
        return {
            "channels": channels,
            "compression": channels // hidden,
            "bottom": bottom,
            "layers": max(layers) + 1,
        }
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ValueError("not an HTDemucs") from error


def _package(path: Path, inventory: Inventory) -> dict[str, Any] | None:
    """Class and arguments of a packaged model; None for tensors alone."""
    if path.suffix == SAFETENSORS:
        metadata = inventory.metadata
        try:
            return {
                "klass": metadata["klass"].rpartition(".")[2],
                "args": from_json(metadata["args"]),
                "kwargs": from_json(metadata["kwargs"]),
            }
        except KeyError:
            return None
        except ValueError as error:
            raise CheckpointError(
                f"{display_name(path)} has broken metadata; download it again."
            ) from error
    content = pickles.load(path, "meta")
    if "klass" not in content:
        return None
    name = getattr(content["klass"], "__name__", "?")
    return {"klass": name, "args": content.get("args"), "kwargs": content.get("kwargs")}


def _objection(package: dict[str, Any]) -> str | None:
    """What is wrong with a package, for a sentence."""
    if package["klass"] != CLASS:
        return f"holds a model of the class {package['klass']!r}"
    arguments, first = package["kwargs"], package["args"]
    if isinstance(arguments, dict) and isinstance(first, (list, tuple)) and len(first) == 1:
        arguments["sources"] = first[0]  # which may stand alone
    elif first:
        return "is built in a way that is not known"
    if not isinstance(arguments, dict) or not isinstance(arguments.get("sources"), (list, tuple)):
        return "does not say which stems it makes"
    stems = [_plural(name) for name in arguments["sources"]]
    if sorted(stems) != sorted(STEMS):
        return f"splits into {', '.join(stems)}"
    for name, expected in ARGUMENTS.items():
        value = arguments.get(name, expected)
        if not _same(value, expected):
            return f"has {name} {value!r} where htdemucs has {expected!r}"
    seconds = _fraction(arguments.get("segment", SEGMENT))
    if not seconds or not 0 < seconds <= MAX_SECONDS:
        return f"hears {arguments['segment']!r} s at once"
    return None


def _same(value: Any, expected: Any) -> bool:
    if not isinstance(value, (bool, int, float, str, list, tuple, type(None))):
        return False
    return value == expected or not (value or expected)  # nothing comes as None, [] and False


def _plural(name: Any) -> str:
    return "vocals" if name == "vocal" else str(name)


def _fraction(value: Any) -> Fraction | None:
    """A number of seconds in whichever way a package has it; None if it is none."""
    if isinstance(value, StandIn):  # of a Fraction
        value = "/".join(map(str, value.arguments))
    if isinstance(value, dict):
        value = f"{value.get('numerator')}/{value.get('denominator')}"
    if isinstance(value, str) and not re.fullmatch(r"\d{1,9}(/[1-9]\d{0,8})?", value):
        return None
    try:
        return Fraction(value).limit_denominator(MAX_SHARES)
    except (TypeError, ValueError, OverflowError):  # as not a number is none
        return None
