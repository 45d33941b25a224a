"""The nodes that keep a song's tokens in files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..levo.batch.names import safe_path
from ..levo.files.claims import placed
from ..levo.files.damage import is_text
from ..levo.files.listing import walk
from ..levo.files.plain_data import shown
from ..levo.files.tensor_file import SAFETENSORS
from ..levo.song import token_file
from ..levo.song.token_file import TokenFileError
from ..levo.song.tokens import checked_tokens
from .host import reporting
from .sockets import ConditioningSocket, SongTokens, TokensSocket

CATEGORY = "audio/LeVo/tokens"
OUTPUT = " [output]"  # ComfyUI's mark of a name below its output folder
_songs: dict[str, tuple[tuple[int, int], bool]] = {}  # path -> its state, and whether it is a song
NO_FILE = "no song found (save one with LeVo Save Tokens, or upload one)"


class LeVoSaveTokens(io.ComfyNode):
    """Writes a song's tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSaveTokens",
            display_name="LeVo Save Tokens",
            category=CATEGORY,
            description="Saves a song as tokens: a small file, from which it can be rendered again.",
            inputs=[
                TokensSocket.Input("tokens", tooltip="From LeVo Compose: all takes go into one file."),
                io.String.Input(
                    "filename_prefix",
                    default="tokens/LeVo",
                    tooltip="How the file's name begins, in ComfyUI's output folder; a number is added, so "
                    "that nothing is overwritten.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="file", tooltip="The file's name, as LeVo Load Tokens offers it."
                )
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, tokens: SongTokens, filename_prefix: str) -> io.NodeOutput:
        path = saved(tokens, filename_prefix)
        name = path.relative_to(folder_paths.get_output_directory())
        reporting.show_text(cls.hidden.unique_id, f"Saved {name}.")
        subfolder, filename = os.path.split(name.as_posix())
        entry = {"filename": filename, "subfolder": subfolder, "type": "output"}
        return io.NodeOutput(f"{name.as_posix()}{OUTPUT}", ui={"tokens": [entry]})


class LeVoLoadTokens(io.ComfyNode):
    """Reads a song's tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        options = choices()
        return io.Schema(
            node_id="LeVoLoadTokens",
            display_name="LeVo Load Tokens",
            category=CATEGORY,
            description="Loads a song that LeVo Save Tokens wrote, to render it again or to go on from it.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=options,
                    default=options[0],
                    tooltip="A song in ComfyUI's input folder, or in its output folder where the name says "
                    "so; newest first.",
                ),
            ],
            outputs=[
                TokensSocket.Output(display_name="tokens", tooltip="The song before sound, all takes."),
                ConditioningSocket.Output(
                    display_name="conditioning", tooltip="What was asked for: lyrics, tags and style."
                ),
                io.Boolean.Output(
                    display_name="ended by itself",
                    tooltip="True if the model ended every take, false if one was cut at the limit.",
                ),
                io.Float.Output(display_name="seconds", tooltip="Length of the song, of its longest take."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        if file is None:  # comes from another node
            return True
        try:
            path_of(file)
        except TokenFileError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None) -> tuple:
        return () if file is None else (file, *_state(path_of(file)))  # None comes from another node

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        tokens = token_file.load(path_of(file))
        takes = f"{len(tokens.lengths)} takes" if len(tokens.lengths) > 1 else "1 take"
        composer, seeds = tokens.composer.checkpoint, ", ".join(map(str, tokens.seeds))
        reporting.show_text(
            cls.hidden.unique_id, f"{takes}, {tokens.seconds:g} s, composed by {composer}, seed {seeds}"
        )
        return io.NodeOutput(tokens, tokens.request, all(tokens.ended), tokens.seconds)


def saved(tokens: SongTokens, prefix: str) -> Path:
    """Write a song under the first free number of a prefix; gives the file.

    What a killed run left of a file of this prefix goes away.

    Raises:
        CodesError: these are no tokens.
        ValueError: the prefix is empty or leads out of the output folder, or the folder cannot be made.
        WriteError: the disk is full or cannot be written.
    """
    tokens = checked_tokens(tokens, "LeVo Save Tokens")  # before the folder is made
    start, paths = paths_for(prefix)
    written: list[Path] = []
    token_file.save(start, tokens, lambda file: written.append(placed(file, paths)))
    return written[0]


def paths_for(
    prefix: str, suffix: str = SAFETENSORS, who: str = "LeVo Save Tokens"
) -> tuple[Path, Iterator[Path]]:
    """Name of a prefix without a number, and where its next file and those after it belong.

    Their folder is made.

    Args:
        prefix: as it was typed.
        suffix: of the files.
        who: asks, for messages.

    Raises:
        ValueError: the prefix is empty or leads out of the output folder, or the folder cannot be made.
    """
    folder = Path(os.path.abspath(folder_paths.get_output_directory()))
    prefix = safe_path(prefix)
    if folder not in Path(os.path.abspath(folder / prefix)).parents:
        raise ValueError(
            f"{who} cannot use the filename_prefix {shown(prefix)}; give one that stays in {folder}."
        )
    try:
        place, name, number, _, _ = folder_paths.get_save_image_path(prefix, str(folder))
    except OSError as error:
        raise ValueError(
            f"{who} cannot use the filename_prefix {shown(prefix)} ({error.strerror}); give another one."
        ) from error
    names = (Path(place) / f"{name}_{number:05}_{suffix}" for number in count(number))
    return Path(place) / f"{name}{suffix}", names


def choices() -> list[str]:
    """What the combo of Load Tokens offers: songs below the input and the output folder, newest first."""
    folders = {folder_paths.get_input_directory(): "", folder_paths.get_output_directory(): OUTPUT}
    songs = []
    for folder, mark in folders.items():
        for name, entry in walk(Path(folder), (SAFETENSORS,), links=False):
            state = _state_of(entry)
            if state and is_text(name) and _is_song(entry.path, state):
                songs.append((state, f"{name}{mark}"))
    return [name for _, name in sorted(songs, reverse=True)] or [NO_FILE]


def path_of(name: str) -> Path:
    """The file of a combo's choice, which may carry ComfyUI's marks such as [output].

    Raises:
        TokenFileError: there is none, or it lies outside of ComfyUI's folders.
    """
    if name == NO_FILE:
        raise TokenFileError("LeVo Load Tokens has no song; save one with LeVo Save Tokens, or upload one.")
    if not isinstance(name, str):
        raise TokenFileError(f"LeVo Load Tokens takes the name of a file, not {shown(name)}; choose one.")
    bare, marked = folder_paths.annotated_filepath(name)
    folder = Path(os.path.abspath(marked or folder_paths.get_input_directory()))
    path = Path(os.path.abspath(folder / bare.strip()))
    if folder not in path.parents or not os.path.isfile(path):  # false, too, for names that cannot be
        raise TokenFileError(
            f"LeVo Load Tokens found no file {shown(name)} in {folder}; choose or upload another."
        )
    return path


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def _state_of(entry: os.DirEntry[str]) -> tuple[int, int] | None:
    """Age and size of a regular file; None for anything else, and where it cannot be told."""
    try:
        state = entry.stat()
    except OSError:  # deleted meanwhile, or a link that leads nowhere
        return None
    return (state.st_mtime_ns, state.st_size) if stat.S_ISREG(state.st_mode) else None


def _is_song(path: str, state: tuple[int, int]) -> bool:
    """Whether a file holds a song; `state` makes a changed file another question."""
    known = _songs.get(path)
    if known is None or known[0] != state:
        known = _songs[path] = (state, token_file.is_song(Path(path)))
    return known[1]
