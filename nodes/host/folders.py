"""Which model files there are in ComfyUI's folders, what the combos call them, and where to get them."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import comfy.model_management
import folder_paths

from ...levo.files import catalogue, style_library
from ...levo.files.parts import Part, recognise
from ...levo.files.release_config import CONFIG, VAE_CONFIG
from ...levo.files.tensor_file import SUFFIXES, CheckpointError
from ...levo.kinds import MODELS, Kind

KEY = "levo"
OTHER_PACKS = "SongGeneration"  # the folder of models/ that other packs for these models use
TINY = "tiny (built in, random weights: sounds like noise)"
NONE_FOUND = "no file found (run this to see which one is needed)"
SIZE = re.compile(r" \([\d.]+ [GM]B\)$")  # how a combo's names end
LOADERS = {
    Kind.LELM: "LeVo Load LeLM",
    Kind.RENDERER: "LeVo Load Renderer",
    Kind.VAE: "LeVo Load VAE",
    Kind.SEPARATOR: "LeVo Load Separator",
    Kind.TRACK_ENCODER: "LeVo Load Style Encoder",
    Kind.MIXED_ENCODER: "LeVo Load Style Encoder",
    Kind.PROMPT_LIBRARY: "LeVo Style from Library",
    Kind.STYLE: "LeVo Style from Library",
}


def register() -> None:
    """Make models/levo known to ComfyUI, and what other packs have; extra_model_paths.yaml stays."""
    models = Path(folder_paths.models_dir)
    folder_paths.add_model_folder_path(KEY, str(models / KEY), is_default=True)
    folder_paths.add_model_folder_path(KEY, str(models / OTHER_PACKS))
    folder_paths.folder_names_and_paths[KEY][1].update(SUFFIXES)


def folder() -> Path:
    """Where new files belong."""
    return Path(folder_paths.get_folder_paths(KEY)[0])


def choices(kind: Kind) -> list[str]:
    """What the combo of a loader offers: the files of a kind, then the tiny set."""
    return [*(found(kind) or [NONE_FOUND]), TINY]


def choice_error(kind: Kind, choice: str | None) -> str | None:
    """What is wrong with a combo's choice, in a sentence; None if nothing is, or it is not known yet."""
    if choice is None:  # comes from another node
        return None
    try:
        path_of(kind, choice)
    except CheckpointError as error:
        return str(error)
    return None


def path_of(kind: Kind, choice: str) -> Path | None:
    """The file of a combo's choice; None for the tiny built-in set.

    Args:
        kind: of LOADERS.
        choice: as the combo has it, with any size or none (so that workflows fit other people's files), the
            name of such a file, or a path below a folder of the key.

    Raises:
        CheckpointError: there is no such file; says where to get one and where it belongs.
    """
    if choice == TINY:
        return None
    there = found(kind)
    names = Counter(path.name for path in there.values())
    by_name = {path.name: path for path in there.values() if names[path.name] == 1}
    by_name |= {SIZE.sub("", label): path for label, path in there.items()}
    path = there.get(choice) or by_name.get(SIZE.sub("", choice)) or _below(choice)
    if path is None:
        raise CheckpointError(_missing(kind, choice, list(there)))
    return path


def fingerprint(kind: Kind, choice: str) -> tuple:
    """Changes when a file of the choice does, so that a new download is picked up."""
    path = path_of(kind, choice)
    return (choice,) if path is None else (choice, *states(path))


def tokenizer_folder() -> Path:
    """Qwen2's vocabulary, which ComfyUI ships."""
    comfy_folder = Path(comfy.model_management.__file__).parent
    return comfy_folder / "text_encoders" / "qwen25_tokenizer"


def found(kind: Kind) -> dict[str, Path]:
    """Label -> file of all files of a kind; where a name is taken twice, the path is added."""
    parts = []
    for name in folder_paths.get_filename_list(KEY):
        path = _below(name)
        part = path and _part(path, states(path))
        if part and kind in (part.kind, part.second_kind):
            parts.append((part, name, path))
    taken = Counter(part.name for part, _, _ in parts)
    return {_label(part, name if taken[part.name] > 1 else None): path for part, name, path in parts}


@lru_cache(maxsize=1_000)
def _part(path: Path, states: tuple) -> Part | None:
    """What a file is; `states` makes a changed file another question."""
    try:
        return recognise(path)
    except OSError:  # gone, or not ours to read
        return None


def states(path: Path) -> tuple:
    """Path, age and size of a weight file and of the configs that may lie beside it."""
    files = (path, path.parent / CONFIG, path.parent / VAE_CONFIG)
    states = [(file, file.stat()) for file in files if file.exists()]
    return tuple((str(file), state.st_mtime_ns, state.st_size) for file, state in states)


def _label(part: Part, name: str | None) -> str:
    place = f" in {Path(name).as_posix()}" if name else ""
    size = f"{part.size / 1e9:.1f} GB" if part.size >= 1e9 else f"{part.size / 1e6:.0f} MB"
    return f"{part.name}{place} ({size})"


def _below(name: str) -> Path | None:
    path = folder_paths.get_full_path(KEY, name)
    return Path(path) if path else None


def _missing(kind: Kind, choice: str, there: list[str]) -> str:
    if choice != NONE_FOUND and there:
        others = ", ".join(there[:5])
        return f"There is no {choice!r} in {folder()}; choose another {kind} in {LOADERS[kind]}: {others}."
    if kind in (Kind.PROMPT_LIBRARY, Kind.STYLE):
        return (
            f"There is no {kind} file: take tools/{style_library.PUBLISHED} from {style_library.SOURCE} "
            f"(with git lfs) to {folder()} and press R, or write styles of your own with LeVo Save Style."
        )
    published = catalogue.RELEASES.get(SIZE.sub("", choice), MODELS[kind].published)
    files = " and ".join(Path(file.path).name for file in published)
    first = published[0]
    source = f"https://huggingface.co/{first.repository}"
    inside = f" (folder {Path(first.path).parent.as_posix()})" if "/" in first.path else ""
    return (
        f"There is no {kind} file: run the node LeVo Download Models, or download {files} from "
        f"{source}{inside} to {folder() / first.local_path.parent} and press R."
    )
