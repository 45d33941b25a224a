"""A node that tells how much of each model is on its device just now; for tests/bench/gpu/served.py."""

from __future__ import annotations

from typing import Any

import comfy.model_management as mm


class LevoResidency:
    """Name, bytes on the device and bytes in all, of each loaded model."""

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "bench"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    @classmethod
    def IS_CHANGED(cls) -> float:
        return float("nan")  # the answer is never the one from before

    def run(self) -> dict[str, Any]:
        patchers = [patcher for patcher in mm.loaded_models() if patcher is not None]
        models = [[type(p.model).__name__, int(p.loaded_size()), int(p.model_size())] for p in patchers]
        return {"ui": {"models": models}}


NODE_CLASS_MAPPINGS = {"LevoResidency": LevoResidency}
