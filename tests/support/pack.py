"""Where the pack and ComfyUI are, and how tests import the pack without touching sys.path."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load_package(folder: Path, name: str) -> ModuleType:
    """Import the package in `folder` under `name`, as ComfyUI does with custom nodes."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def comfyui_dir() -> Path:
    """ComfyUI's source: `COMFYUI_DIR`, or beside the environment that `tests/environment.sh` made."""
    return Path(os.environ.get("COMFYUI_DIR") or Path(sys.prefix).parent / "comfyui")


def tokenizer_dir() -> Path:
    """Qwen2's vocabulary as ComfyUI ships it."""
    return comfyui_dir() / "comfy" / "text_encoders" / "qwen25_tokenizer"


load_package(ROOT / "levo", "levo")
