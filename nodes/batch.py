"""The node that reads a list of songs and gives them to the nodes that make them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..levo.batch import results, saving, song_list
from ..levo.batch.attempts import unfinished
from ..levo.batch.messages import refusal, summary
from ..levo.batch.record import style_of
from ..levo.batch.saving import Planned
from ..levo.batch.song_list import Hear, Song, SongList, SongListError
from ..levo.files.plain_data import shown
from ..levo.files.style_library import Entries, read_library
from ..levo.kinds import Kind
from . import list_runs
from .host import folders, reporting
from .list_clips import hearing, sound
from .sockets import ListedSong, SongSocket, Style, StyleSocket

CATEGORY = "audio/LeVo/batch"
EXAMPLE = "example (built in, two songs)"
SUFFIX = ".jsonl"
NO_LIBRARY = "none"
NAME = "LeVo Songs from JSONL"
PROMPT_AUDIO = 4  # the output's number


class LeVoSongsFromJSONL(io.ComfyNode):
    """Reads a list of songs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        options = choices()
        return io.Schema(
            node_id="LeVoSongsFromJSONL",
            display_name=NAME,
            category=CATEGORY,
            description="Reads a list of songs in the published format, one JSON object a line; the graph "
            "behind it runs for each song.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=options,
                    default=options[0],
                    tooltip="A .jsonl file in ComfyUI's input folder, or the built-in example.",
                ),
                *_choosing_inputs(),
                io.Combo.Input(
                    "library",
                    options=[
                        NO_LIBRARY,
                        *(
                            folders.SIZE.sub("", label)
                            for label in folders.files_by_label(Kind.PROMPT_LIBRARY)
                        ),
                    ],
                    default=NO_LIBRARY,
                    tooltip="The prompt library that styles are drawn from where the list asks for one.",
                ),
                io.String.Input(
                    "folder",
                    default="batch",
                    tooltip="Where the songs and results.jsonl go, in ComfyUI's output folder.",
                ),
            ],
            outputs=_outputs_by_song(),
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        if file is None:  # comes from another node
            return True
        try:
            path = path_of(file)
            if path:
                path.open("rb").close()
        except SongListError as error:
            return str(error)
        except OSError as error:
            return _unreadable(file, error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls,
        file: str | None = None,
        skip_faulty: bool | None = None,
        skip_finished: bool | None = None,
        folder: str | None = None,
        library: str | None = None,
        **_: object,
    ) -> tuple | float:
        list_runs.settle()
        if (
            file is None
            or skip_faulty is None
            or skip_finished is None
            or folder is None
            or library is None
        ):
            return float("nan")  # comes from another node; equal to nothing, so that the node runs
        where = place(folder)
        # What was composed before a run failed is still of use, unless its song is to be passed over.
        saved = results.state(where, failures=skip_faulty) if skip_finished else None
        failed = list_runs.attempts.failed if skip_finished and skip_faulty else 0
        source = None if library == NO_LIBRARY else folders.path_of(Kind.PROMPT_LIBRARY, library)
        return str(where), saved, failed, _state(path_of(file)), _state(source)

    @classmethod
    def execute(
        cls,
        file: str,
        skip_faulty: bool,
        skip_finished: bool,
        songs_a_run: int,
        library: str,
        folder: str,
    ) -> io.NodeOutput:
        source = None if library == NO_LIBRARY else folders.path_of(Kind.PROMPT_LIBRARY, library)
        styles = read_library(source) if source else {}
        listed = read_list(
            file, styles, hearing(cls.hidden.prompt or {}, cls.hidden.unique_id, PROMPT_AUDIO)
        )
        if listed.faults and not (skip_faulty and listed.songs):
            raise SongListError(refusal(file, listed, "turn on skip_faulty"))
        planned, text = songs_to_make(listed, place(folder), skip_faulty, skip_finished, songs_a_run, cls)
        reporting.show_text(cls.hidden.unique_id, text)
        return io.NodeOutput(*columns(planned, styles))


def _choosing_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "skip_faulty",
            default=False,
            tooltip="Go on with the good lines, and pass over songs that could not be made in an earlier "
            "run. Off: a list with a faulty line is refused whole, and what failed is tried again.",
        ),
        io.Boolean.Input(
            "skip_finished",
            default=True,
            tooltip="Leave out songs that LeVo Save Song has saved in the folder as the list has "
            "them now. Off: they are made again, and their files replaced.",
        ),
        io.Int.Input(
            "songs_a_run",
            default=1,
            min=0,
            max=10_000,
            tooltip="The first so many songs that are left; 0 is all. With 1 every run makes the next one. "
            "All songs of a run are composed, then all rendered, then saved: a stop loses them all.",
        ),
    ]


def _outputs_by_song() -> list[io.Output]:
    return [
        _listed(SongSocket, "song", "What LeVo Save Song needs to know of the song."),
        _listed(io.String, "lyrics", "In the strict format, for LeVo Conditioning."),
        _listed(io.String, "description", "Style tags, for LeVo Conditioning."),
        _listed(
            StyleSocket, "style", "Out of the library, for LeVo Conditioning; none where none is asked for."
        ),
        _listed(io.Audio, "prompt audio", "For LeVo Style from Audio; none where none is named."),
        _listed(io.String, "idx", "The song's name in the list."),
        _listed(io.String, "filename prefix", "Folder and name, for nodes that save."),
    ]


def _listed(socket: Any, name: str, tooltip: str) -> io.Output:
    return socket.Output(display_name=name, tooltip=f"{tooltip} A list, by songs.", is_output_list=True)


# Lists ---------------------------------------------------------------------------------------------------


def choices() -> list[str]:
    """What the combo offers: lists below the input folder, then the built-in one."""
    folder = Path(folder_paths.get_input_directory())
    return [*sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{SUFFIX}")), EXAMPLE]


def path_of(choice: object) -> Path | None:
    """The file of a combo's choice; None for the built-in list.

    Raises:
        SongListError: there is none in ComfyUI's input folder.
    """
    if choice == EXAMPLE:
        return None
    if not isinstance(choice, str):
        raise SongListError(f"{NAME} takes the name of a file, not {shown(choice)}; choose one.")
    folder = Path(os.path.abspath(folder_paths.get_input_directory()))
    path = Path(os.path.abspath(folder / choice))
    if folder not in path.parents or not os.path.isfile(path):  # false, too, for names that cannot be
        raise SongListError(
            f"{NAME} found no file {shown(choice)} in {folder}; put your list there and press R."
        )
    return path


def read_list(choice: str, styles: Collection[str] = (), hear: Hear | None = None) -> SongList:
    """The songs of a combo's choice, which may ask for these styles; `hear` is asked of each clip.

    Raises:
        SongListError: there is no such file, or no song in it.
    """
    path = path_of(choice)
    try:
        data = song_list.EXAMPLE.encode() if path is None else path.read_bytes()
    except OSError as error:
        raise SongListError(_unreadable(choice, error)) from error
    return song_list.read(data, Path(folder_paths.get_input_directory()), styles, hear)


def _unreadable(choice: str, error: OSError) -> str:
    return f"{NAME} cannot read {shown(choice)} ({error.strerror}); change its rights."


def place(folder: str) -> Path:
    """A folder below ComfyUI's output folder.

    Raises:
        SongListError: it leads elsewhere.
    """
    output = Path(os.path.abspath(folder_paths.get_output_directory()))
    try:
        return saving.folder_of(folder, output, time.localtime())
    except SongListError as error:
        raise SongListError(f"{NAME} {error}") from error


def songs_to_make(
    listed: SongList,
    folder: Path,
    skip_faulty: bool,
    skip_finished: bool,
    most: int,
    node: type[io.ComfyNode],
) -> tuple[list[Planned], str]:
    """The songs that this run makes, and what is said of that; whatever can be known is tried before.

    Raises:
        SongListError: nothing could be saved.
    """
    list_runs.settle()
    missing, failed = (
        unfinished(listed.songs, folder, skip_faulty) if skip_finished else (list(listed.songs), [])
    )
    now = list_runs.attempts.some(missing, folder, most) if skip_faulty else missing[: most or None]
    planned = saving.begin(now, missing, listed.faults, folder)
    if planned and skip_finished:
        list_runs.begin(planned, node.hidden.unique_id, node.hidden.prompt or {})
    return planned, summary(listed, len(missing), failed, now)


def columns(songs: list[Planned], library: dict[str, Entries]) -> list[list]:
    """The outputs for songs; without songs what follows does not run."""
    if not songs:
        return [[ExecutionBlocker(None)] for _ in _outputs_by_song()]
    now = results.now()
    rows = [
        (
            ListedSong(planned, now),
            planned.song.lyrics,
            planned.song.description,
            drawn(planned.song, library),
            None if planned.song.audio is None else sound(planned.song.audio),
            planned.song.idx,
            f"{below_output(planned.folder)}/{planned.name}",
        )
        for planned in songs
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def drawn(song: Song, library: dict[str, Entries]) -> Style | None:
    """The style that a song asks for."""
    style = style_of(song, library)
    return None if style is None else Style(style.codes, style.name)


def below_output(folder: Path) -> str:
    """A folder's path inside ComfyUI's output folder."""
    return folder.relative_to(os.path.abspath(folder_paths.get_output_directory())).as_posix()


def _state(path: Path | None) -> tuple:
    if path is None or not path.exists():
        return ()
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_size
