"""torch's pickled files, read without running anything that is in them.

torch reads tensors and plain data, and refuses whatever else a pickle names. The packages that Demucs is
published in also name its class, which we do not need; such names become stand-ins that only remember
what they were given. Any other name is refused as before. What would take gigabytes is refused unread
(levo/files/torch_zip.py).
"""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import torch

from . import torch_zip

NAMED_BY_DEMUCS = (
    "demucs.demucs.Demucs",
    "demucs.hdemucs.HDemucs",
    "demucs.htdemucs.HTDemucs",
    "demucs_infer.hdemucs.HDemucs",
    "demucs_infer.htdemucs.HTDemucs",
    "fractions.Fraction",
    "numpy.core.multiarray.scalar",  # some carry the scores of their training
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.dtypes.Float64DType",
)


class StandIn:
    """What a pickle named, with the arguments that it would have been made from."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        """Forget what the real thing would have been filled with."""


def _name(allowed: Any) -> str:
    """What a pickle calls something that torch was told to allow."""
    return allowed[1] if isinstance(allowed, tuple) else f"{allowed.__module__}.{allowed.__name__}"


def _stand_in(name: str) -> type[StandIn]:
    module, _, leaf = name.rpartition(".")
    return type(leaf, (StandIn,), {"__module__": module})


STAND_INS = [_stand_in(name) for name in NAMED_BY_DEMUCS]
_allowing = threading.Lock()  # torch keeps what is allowed for all threads together


def load(path: Path, device: str = "cpu") -> Any:
    """Content of a torch zip checkpoint, its tensors memory-mapped; names of Demucs are StandIns.

    Args:
        path: of the file.
        device: "cpu", or "meta" for shapes alone.

    Raises:
        Exception: of many kinds, where the file is damaged or names what is not allowed.
    """
    if problem := torch_zip.find_problem(path):
        raise pickle.UnpicklingError(f"{path.name} {problem}")
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        with _allowing, torch.serialization.safe_globals(_not_yet_allowed()):
            return torch.load(path, map_location=device, weights_only=True, mmap=True)


def _not_yet_allowed() -> list[Any]:
    """Stand-ins for globals that no other pack registered as safe, as ComfyUI does with numpy's numbers."""
    allowed = {_name(each) for each in torch.serialization.get_safe_globals()}
    return [stand_in for stand_in in STAND_INS if _name(stand_in) not in allowed]
