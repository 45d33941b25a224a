"""The nodes for styles without their sound: out of a library, and into one's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from comfy_api.latest import io

from ..levo import tiny
from ..levo.files.style_library import (
    ANY,
    CHINESE,
    ENGLISH,
    StyleEntry,
    language_of,
    load_style,
    pick,
    read_library,
    save_style,
)
from ..levo.files.tensor_file import CheckpointError
from ..levo.kinds import Kind
from ..levo.lelm.codes import codes_of
from .host import folders, reporting
from .inputs import seed_input
from .save_checkpoint import free_path
from .sockets import Style, StyleSocket

CATEGORY = "audio/LeVo/conditioning"
FOLDER = "styles"  # of models/levo, for the user's own
SAVED = "saved style"  # how the combo tells them from a library's
TINY = "tiny (built in, random codes: stands for no style)"
AUTO_LANGUAGE = "auto"


class LeVoStyleFromLibrary(io.ComfyNode):
    """Picks a style out of a library."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        options = choices()
        return io.Schema(
            node_id="LeVoStyleFromLibrary",
            display_name="LeVo Style from Library",
            category=CATEGORY,
            description="Picks a style out of a published prompt library, or one that you saved.",
            inputs=[
                io.Combo.Input(
                    "style",
                    options=options,
                    default=options[0],
                    tooltip="A style of a prompt library in ComfyUI/models/levo, at any depth, or one that "
                    "LeVo Save Style wrote; tiny needs no file.",
                ),
                io.Combo.Input(
                    "language",
                    options=[AUTO_LANGUAGE, CHINESE, ENGLISH],
                    default=AUTO_LANGUAGE,
                    tooltip="Whose entries to draw from. auto: Chinese where a fifth of the lyrics or more "
                    "are Chinese characters, else English; without lyrics both.",
                ),
                seed_input("Decides which of the style's entries; the same seed gives the same one."),
                io.String.Input(
                    "lyrics",
                    optional=True,
                    force_input=True,
                    tooltip="From LeVo Lyrics; tells the language where that is auto.",
                ),
            ],
            outputs=[StyleSocket.Output(display_name="style", tooltip="The style, for LeVo Conditioning.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, style: str | None = None) -> bool | str:
        if style is None:  # comes from another node
            return True
        try:
            place_of(style)
        except CheckpointError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, style: str | None = None, **_: object) -> tuple:
        path, _name = (None, None) if style is None else place_of(style)  # None comes from another node
        return style, path and folders.states(path)

    @classmethod
    def execute(cls, style: str, language: str, seed: int, lyrics: str | None = None) -> io.NodeOutput:
        if language == AUTO_LANGUAGE:
            language = ANY if lyrics is None else language_of(lyrics)
        entry = picked(style, language, seed)
        reporting.show_text(cls.hidden.unique_id, entry.name)
        return io.NodeOutput(Style(entry.codes, entry.name))


class LeVoSaveStyle(io.ComfyNode):
    """Keeps a style."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSaveStyle",
            display_name="LeVo Save Style",
            category=CATEGORY,
            description="Saves a style as a small file for LeVo Style from Library; its sound is not kept.",
            inputs=[
                StyleSocket.Input(
                    "style", tooltip="From LeVo Style from Audio or LeVo Style from Library."
                ),
                io.String.Input(
                    "name",
                    default="my style",
                    tooltip="Name of the new file in ComfyUI/models/levo/styles, without ending; a/b puts "
                    "it into the folder a. A file that is there already is never overwritten.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="Where the new file lies.")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, style: Style, name: str) -> io.NodeOutput:
        path = free_path("LeVo Save Style", name, folders.folder() / FOLDER)
        save_style(path, codes_of(style.codes, "The style"), style.name)
        reporting.show_text(
            cls.hidden.unique_id, f"Saved {path}; press R to find it in LeVo Style from Library."
        )
        return io.NodeOutput(str(path))


def choices() -> list[str]:
    """What the combo offers: styles of all libraries, saved ones, then the tiny one."""
    options = []
    for label, path in folders.files_by_label(Kind.PROMPT_LIBRARY).items():
        library = folders.SIZE.sub("", label)
        options += [f"{style} ({library})" for style in _styles(path, folders.states(path))]
    options += [f"{folders.SIZE.sub('', label)} ({SAVED})" for label in folders.files_by_label(Kind.STYLE)]
    return [*(options or [folders.NONE_FOUND]), TINY]


def place_of(choice: str) -> tuple[Path | None, str | None]:
    """File of a choice, None for the tiny style; and the style in it, None for a saved one.

    Raises:
        CheckpointError: there is none.
    """
    folders.require_name(Kind.STYLE, choice)
    if choice == TINY:
        return None, None
    style, _, library = choice.removesuffix(")").rpartition(" (")
    if library == SAVED:
        return folders.path_of(Kind.STYLE, style), None
    return folders.path_of(
        Kind.PROMPT_LIBRARY, folders.NONE_FOUND if choice == folders.NONE_FOUND else library
    ), style


def picked(choice: str, language: str, seed: int) -> StyleEntry:
    """The style of a choice.

    Raises:
        CheckpointError: its file is gone.
        StyleFileError: it is damaged, or has no such style.
    """
    path, style = place_of(choice)
    if path is None:
        return StyleEntry(tiny.style(), TINY)
    return load_style(path) if style is None else pick(read_library(path), style, language, seed)


@cache
def _styles(path: Path, states: tuple) -> list[str]:
    """Names of a library's styles; a file that cannot be read offers itself, to say why."""
    try:
        return list(read_library(path, "meta"))
    except Exception:  # whatever is in the file, the list of all nodes needs an answer
        return ["unreadable"]
