"""Which model files there are in ComfyUI's folders, what the combos call them, and where to get them."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import comfy.model_management
import folder_paths

from ...levo import demo
from ...levo.files import catalogue, shards
from ...levo.files.damage import display_name, printable
from ...levo.files.listing import FoundFile, Listing, states
from ...levo.files.parts import Part, damage_of
from ...levo.files.plain_data import shown
from ...levo.files.tensor_file import SUFFIXES, CheckpointError
from ...levo.kinds import MODELS, Kind

KEY = "levo"
OTHER_PACKS = "SongGeneration"  # the folder of models/ that other packs for these models use
DEMO = "demo (built in: small, sings nonsense)"
TINY = "tiny (built in, random weights: sounds like noise)"  # in workflows from before there was DEMO
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
NAMED_IN_ERRORS = 3  # damaged files that might be what is missed

_listing = Listing()


def register() -> None:
    """Make models/levo known to ComfyUI, and what other packs have; extra_model_paths.yaml stays."""
    models = Path(folder_paths.models_dir)
    folder_paths.add_model_folder_path(KEY, str(models / KEY), is_default=True)
    folder_paths.add_model_folder_path(KEY, str(models / OTHER_PACKS))
    folder_paths.folder_names_and_paths[KEY][1].update(SUFFIXES)


def folder() -> Path:
    """Where new files belong."""
    return Path(folder_paths.get_folder_paths(KEY)[0])


def roots() -> list[Path]:
    """Where files are looked for."""
    return [Path(place) for place in folder_paths.get_folder_paths(KEY)]


def name_of(path: Path) -> str:
    """A file's path below the folder that it was found in, which may be shown to anybody."""
    return next(
        (path.relative_to(root).as_posix() for root in roots() if path.is_relative_to(root)), path.name
    )


def choices(kind: Kind) -> list[str]:
    """What the combo of a loader offers: the files of a kind, then the built-in model."""
    return [*(files_by_label(kind) or [NONE_FOUND]), DEMO if demo.path(kind) else TINY]


def choice_error(kind: Kind, choice: str | None) -> str | None:
    """What is wrong with a combo's choice, in a sentence; None if nothing is, or it is not known yet."""
    if choice is None:  # comes from another node
        return None
    try:
        path_of(kind, choice)
    except CheckpointError as error:
        return str(error)
    return None


def require_name(kind: Kind, choice: object) -> None:
    """Raise a CheckpointError for a choice that is no text, as a prompt from outside may have."""
    if not isinstance(choice, str):
        raise CheckpointError(f"{LOADERS[kind]} takes the name of a file, not {shown(choice)}; choose one.")


def path_of(kind: Kind, choice: str) -> Path | None:
    """The file of a combo's choice; None for the built-in model with random weights.

    Args:
        kind: of LOADERS.
        choice: as the combo has it, with any size or none (so that workflows fit other people's files), the
            name of such a file, or a path below a folder of the key.

    Raises:
        CheckpointError: there is no such file, or it is damaged under another label; says where to get one
            and where it belongs.
    """
    require_name(kind, choice)
    if choice == TINY:
        return None
    if choice == DEMO and (built_in := demo.path(kind)):
        return built_in
    files = _files()
    by_label = _labelled(kind, files)
    names = Counter(path.name for path in by_label.values())
    by_name = {path.name: path for path in by_label.values() if names[path.name] == 1}
    by_name |= {SIZE.sub("", label): path for label, path in by_label.items()}
    path = by_label.get(choice) or by_name.get(SIZE.sub("", choice)) or _below(choice)
    if path is None:
        raise CheckpointError(_damaged(choice, files) or _missing(kind, choice, by_label, files))
    return path


def fingerprint(kind: Kind, choice: str | None) -> tuple:
    """Changes when a file of the choice does, so that a new download is picked up.

    What another node chooses is not known yet: ComfyUI itself sees when that gives another choice.
    """
    path = None if choice is None else path_of(kind, choice)
    return (choice,) if path is None else (choice, *states(path))


def tokenizer_folder() -> Path:
    """Qwen2's vocabulary, which ComfyUI ships."""
    comfy_folder = Path(inspect.getfile(comfy.model_management)).parent
    return comfy_folder / "text_encoders" / "qwen25_tokenizer"


def files_by_label(kind: Kind) -> dict[str, Path]:
    """Label -> file of all files of a kind, damaged ones last; a name that is taken twice has its path."""
    return _labelled(kind, _files())


def _files() -> list[FoundFile]:
    return _listing.files(map(Path, folder_paths.get_folder_paths(KEY)))


def _labelled(kind: Kind, files: Sequence[FoundFile]) -> dict[str, Path]:
    parts = [
        (file.part, file.name, file.path)
        for file in files
        if file.part and kind in (file.part.kind, file.part.second_kind)
    ]
    parts.sort(key=lambda entry: entry[0].whole_name is not None)
    taken = Counter(part.name for part, _, _ in parts)
    return {_label(part, name if taken[part.name] > 1 else None): path for part, name, path in parts}


def _label(part: Part, name: str | None) -> str:
    place = f" in {name}" if name else ""
    size = f"{part.size / 1e9:.1f} GB" if part.size >= 1e9 else f"{part.size / 1e6:.0f} MB"
    return printable(f"{part.name}{place} ({size})")


def _below(name: str) -> Path | None:
    try:
        path = folder_paths.get_full_path(KEY, name)
    except (OSError, ValueError):  # no name that a file could have
        return None
    return Path(path) if path else None


def _damaged(choice: str, files: Sequence[FoundFile]) -> str | None:
    """What is wrong with the file that a choice meant while it was whole; None if it meant no one file."""
    name_chosen, damaged = SIZE.sub("", choice), []
    for file in files:
        whole = file.part.whole_name if file.part else file.path.stem
        names = (whole, f"{whole} in {file.name}", file.name, file.path.name)
        # Shards that are gone may have told the type, which stood behind what is still known.
        is_begun = shards.is_index(file.path) and name_chosen.startswith(f"{whole} ")
        if whole and (name_chosen in names or is_begun) and (sentence := damage_of(file.path)):
            damaged.append((display_name(file.path), sentence))
    if len(damaged) != 1:
        return None
    ((name, sentence),) = damaged
    return f"{name} is there and{sentence.removeprefix(name)}"


def _unreadable(files: Sequence[FoundFile]) -> str:
    """Files of which nobody can tell what they were, in brackets."""
    sentences = (damage_of(file.path) for file in files if file.part is None)
    reasons = [sentence.partition(";")[0] for sentence in sentences if sentence]
    more = f" and {len(reasons) - NAMED_IN_ERRORS} more" if len(reasons) > NAMED_IN_ERRORS else ""
    return f" that can be read ({', '.join(reasons[:NAMED_IN_ERRORS])}{more})" if reasons else ""


def _missing(kind: Kind, choice: str, by_label: dict[str, Path], files: Sequence[FoundFile]) -> str:
    if choice != NONE_FOUND and by_label:
        others = ", ".join(list(by_label)[:5])
        what = f"There is no {shown(choice)} in {folder()}"
        return f"{what}; choose another {kind} in {LOADERS[kind]}: {others}."
    nothing = f"There is no {kind} file{_unreadable(files)}"
    styles = kind in (Kind.PROMPT_LIBRARY, Kind.STYLE)
    published: Sequence[catalogue.RemoteFile]
    if styles:
        published, more = catalogue.PROMPT_LIBRARY, ", or write styles of your own with LeVo Save Style"
    else:
        published, more = catalogue.RELEASES.get(SIZE.sub("", choice), MODELS[kind].published), ""
    names = " and ".join(Path(file.path).name for file in published)
    first = published[0]
    inside = f" (folder {Path(first.path).parent.as_posix()})" if "/" in first.path else ""
    return (
        f"{nothing}: run the node LeVo Download Models{' with styles on' if styles else ''}, or download "
        f"{names} from {first.page}{inside} to {folder() / first.local_path.parent} and press R{more}."
    )
