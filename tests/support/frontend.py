"""Which frontend tests look at: ComfyUI's own, or that in the folder which LEVO_FRONTEND_ROOT names."""

from __future__ import annotations

import os
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

PACKAGE = "comfyui_frontend_package"


def frontend_root() -> Path | None:
    """The `static` folder of an unpacked wheel, for ComfyUI's --front-end-root; None for its own."""
    named = os.environ.get("LEVO_FRONTEND_ROOT")
    return Path(named).resolve() if named else None


def frontend_version() -> tuple[int, ...]:
    """Its version without the last number, which is said beside the package."""
    return tuple(int(number) for number in _distribution().version.split(".")[:2])


def _distribution() -> Distribution:
    root = frontend_root()
    if root is None:
        return distribution(PACKAGE)
    beside = root.parents[1]  # .../comfyui_frontend_package/static
    for found in distributions(name=PACKAGE, path=[str(beside)]):
        return found
    raise RuntimeError(
        f"There is no {PACKAGE} in {beside}; unpack its wheel there, and let LEVO_FRONTEND_ROOT be its "
        f"folder {PACKAGE}/static."
    )
