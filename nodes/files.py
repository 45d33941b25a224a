"""Which model files there are, by ComfyUI's folders, and what lies beside them."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management
import folder_paths

from ..levo.checkpoint import CheckpointError, style_rows
from ..levo.config import STYLE_ROWS, LelmConfig
from ..levo.damage import shown
from ..levo.release import read_config

KEY = "levo"
TINY = "tiny (built in, random weights: sounds like noise)"
LELM_FILES = ("model.safetensors", "model.pt")
RENDERER_FILES = ("model_2.safetensors",)
VAE_FILES = ("autoencoder_music_1320k.ckpt",)


def register() -> None:
    """Make models/levo known to ComfyUI; folders of extra_model_paths.yaml stay."""
    folder_paths.add_model_folder_path(KEY, str(Path(folder_paths.models_dir) / KEY), is_default=True)
    folder_paths.folder_names_and_paths[KEY][1].update({".safetensors", ".pt", ".ckpt"})


def lelm_choices() -> list[str]:
    """LeLM files that have their config.yaml beside them."""
    found = _named(LELM_FILES)
    return [name for name in found if (path_of(name).parent / "config.yaml").is_file()]


def renderer_choices() -> list[str]:
    return _named(RENDERER_FILES)


def vae_choices() -> list[str]:
    return _named(VAE_FILES)


def _named(names: tuple[str, ...]) -> list[str]:
    return [name for name in folder_paths.get_filename_list(KEY) if Path(name).name in names]


def path_of(choice: str) -> Path | None:
    """The file of a combo's choice; None for the tiny built-in set.

    Raises:
        CheckpointError: the file is gone.
    """
    if choice == TINY:
        return None
    path = folder_paths.get_full_path(KEY, choice)
    if path is None:
        raise CheckpointError(f"There is no {choice} in models/{KEY}; put it there or choose another file.")
    return Path(path)


def fingerprint(choice: str) -> tuple:
    """Changes when the file of a choice does, so that a new download is picked up."""
    path = path_of(choice)
    if path is None:
        return (choice,)
    state = path.stat()
    return choice, state.st_mtime_ns, state.st_size


def lelm_config(path: Path, tensors: dict) -> LelmConfig:
    """Sizes of a released LeLM: config.yaml for what tensors do not show, tensors for the version."""
    rows = style_rows(tensors)
    version = next((v for v, n in STYLE_ROWS.items() if n == rows), None)
    if version is None:
        raise CheckpointError(
            f"{shown(path)} is not a LeLM checkpoint; choose the model.pt of a SongGeneration release."
        )
    return read_config(path.parent / "config.yaml", version)


def tokenizer_folder() -> Path:
    """Qwen2's vocabulary, which ComfyUI ships."""
    comfy_folder = Path(comfy.model_management.__file__).parent
    return comfy_folder / "text_encoders" / "qwen25_tokenizer"
