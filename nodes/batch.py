"""The nodes that make songs of a list, one after the other, and keep account of them."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker

from ..levo.batch import results, song_list
from ..levo.batch.song_list import Song, SongList, SongListError
from ..levo.files.style_library import Entries, language_of, pick, read_library
from ..levo.kinds import Kind
from .host import folders, reporting
from .sockets import ListedSong, SongSocket, SongTokens, Style, StyleSocket, TokensSocket

CATEGORY = "audio/LeVo/batch"
EXAMPLE = "example (built in, two songs)"
SUFFIX = ".jsonl"
NO_LIBRARY = "none"
NAME = "LeVo Songs from JSONL"


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
                        *(folders.SIZE.sub("", label) for label in folders.found(Kind.PROMPT_LIBRARY)),
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
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        if file is None:  # comes from another node
            return True
        try:
            listed(file)
        except SongListError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, file: str, skip_finished: bool, folder: str, library: str, **_: object
    ) -> tuple:
        made = place(folder) / results.RESULTS if skip_finished else None
        source = None if library == NO_LIBRARY else folders.path_of(Kind.PROMPT_LIBRARY, library)
        return _state(path_of(file)), _state(made), _state(source)

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
        styles = (
            {} if library == NO_LIBRARY else read_library(folders.path_of(Kind.PROMPT_LIBRARY, library))
        )
        found, where = listed(file, styles), place(folder)
        if found.faults and not (skip_faulty and found.songs):
            raise SongListError(refusal(file, found))
        songs = results.missing(found.songs, where) if skip_finished else list(found.songs)
        reporting.show_text(cls.hidden.unique_id, summary(found, len(songs)))
        return io.NodeOutput(*columns(songs[: songs_a_run or None], where, styles))


class LeVoSaveSong(io.ComfyNode):
    """Saves a song of a list and what became of it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSaveSong",
            display_name="LeVo Save Song",
            category=CATEGORY,
            description="Saves a song of a list as a FLAC under its idx, and adds a line to results.jsonl "
            "beside it.",
            inputs=[
                SongSocket.Input("song", tooltip="From LeVo Songs from JSONL."),
                io.Audio.Input("audio", tooltip="The song's sound."),
                TokensSocket.Input("tokens", tooltip="What the sound was rendered from."),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="Where the FLAC lies.")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, song: ListedSong, audio: dict, tokens: SongTokens) -> io.NodeOutput:
        if len(tokens.lengths) > 1 or len(audio["waveform"]) > 1:
            raise ValueError("LeVo Save Song saves one take a song; set takes to 1 where you compose.")
        file = save(song, audio, cls)
        settings = settings_of(cls.hidden.prompt or {}, cls.hidden.unique_id)
        results.write(song.folder, result(song, audio, tokens, settings))
        entry = ui.SavedResult(file.name, _below_output(song.folder), io.FolderType.output)
        return io.NodeOutput(str(file), ui=ui.SavedAudios([entry]))


def _choosing_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "skip_faulty",
            default=False,
            tooltip="Go on with the good lines. Off: a list with a faulty line is refused whole.",
        ),
        io.Boolean.Input(
            "skip_finished",
            default=True,
            tooltip="Leave out songs that LeVo Save Song has saved in the folder as the list has "
            "them now. Off: they are made again, and their files replaced.",
        ),
        io.Int.Input(
            "songs_a_run",
            default=0,
            min=0,
            max=10_000,
            tooltip="The first so many songs; 0 is all. All songs of a run are composed, then all "
            "are rendered, then saved: with 1 and skip_finished every run makes the next song.",
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


def _listed(socket: type, name: str, tooltip: str) -> io.Output:
    return socket.Output(display_name=name, tooltip=f"{tooltip} A list, by songs.", is_output_list=True)


# Lists ---------------------------------------------------------------------------------------------------


def choices() -> list[str]:
    """What the combo offers: lists below the input folder, then the built-in one."""
    folder = Path(folder_paths.get_input_directory())
    return [*sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{SUFFIX}")), EXAMPLE]


def path_of(choice: str) -> Path | None:
    """The file of a combo's choice; None for the built-in list.

    Raises:
        SongListError: there is none in ComfyUI's input folder.
    """
    if choice == EXAMPLE:
        return None
    folder = Path(os.path.abspath(folder_paths.get_input_directory()))
    path = Path(os.path.abspath(folder / choice))
    if folder not in path.parents or not path.is_file():
        raise SongListError(
            f"{NAME} found no file {choice!r} in {folder}; put your list there and press R."
        )
    return path


def listed(choice: str, styles: Collection[str] = ()) -> SongList:
    """The songs of a combo's choice, which may ask for these styles.

    Raises:
        SongListError: there is no such file, or no song in it.
    """
    path = path_of(choice)
    data = song_list.EXAMPLE.encode() if path is None else path.read_bytes()
    return song_list.read(data, Path(folder_paths.get_input_directory()), styles)


def refusal(choice: str, found: SongList) -> str:
    """What is wrong with a list, line by line."""
    count = len(found.faults)
    lines = "a faulty line" if count == 1 else f"{count} faulty lines"
    advice = "mend it, or turn on skip_faulty" if found.songs else "no song is left; mend it"
    return "\n".join((f"{choice} has {lines}; {advice}.", *found.faults))


def summary(found: SongList, left: int) -> str:
    """What there is to do, and what was passed over."""
    songs = "All songs are finished." if not left else f"{left} of {len(found.songs)} songs to make."
    return "\n".join((songs, *(f"Skipped: {fault}" for fault in found.faults), *found.oddities))


def place(folder: str) -> Path:
    """A folder below ComfyUI's output folder.

    Raises:
        SongListError: it leads elsewhere.
    """
    output = Path(os.path.abspath(folder_paths.get_output_directory()))
    path = Path(os.path.abspath(output / folder.strip()))
    if output not in path.parents:
        raise SongListError(f"{NAME} cannot use the folder {folder!r}; name one inside {output}.")
    return path


def columns(songs: list[Song], folder: Path, library: dict[str, Entries]) -> list[list]:
    """The outputs for songs; without songs what follows does not run."""
    if not songs:
        return [[ExecutionBlocker(None)] for _ in _outputs_by_song()]
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    rows = [
        (
            ListedSong(song, folder, now),
            song.lyrics,
            song.description,
            drawn(song, library),
            sound(song.audio),
            song.idx,
            f"{_below_output(folder)}/{song.name}",
        )
        for song in songs
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def drawn(song: Song, library: dict[str, Entries]) -> Style | None:
    """The style that a song asks for: the same line always gets the same entry."""
    if not song.style:
        return None
    found = pick(library, song.style, language_of(song.lyrics), int(song.request_hash[:8], 16))
    return Style(found.codes, found.name)


def sound(path: Path | None) -> dict | None:
    """A file as AUDIO.

    Raises:
        SongListError: it cannot be decoded.
    """
    if path is None:
        return None
    from comfy_extras.nodes_audio import load

    try:
        waveform, rate = load(str(path))
    except Exception as error:
        raise SongListError(f"{path} is no audio that ComfyUI can read; convert it to FLAC.") from error
    return {"waveform": waveform[None], "sample_rate": rate}


# Results -------------------------------------------------------------------------------------------------


def save(listed: ListedSong, audio: dict, node: type[io.ComfyNode]) -> Path:
    """Write a FLAC with the workflow in it, whole or not at all; gives its place."""
    prefix = f"{_below_output(listed.folder)}/.{listed.song.name}.partial"
    (made,) = ui.AudioSaveHelper.save_audio(audio, prefix, io.FolderType.output, node)
    file = listed.folder / f"{listed.song.name}{results.SUFFIX}"
    os.replace(listed.folder / made.filename, file)
    return file


def result(listed: ListedSong, audio: dict, tokens: SongTokens, settings: dict) -> dict:
    """A line of results.jsonl."""
    song = listed.song
    return {
        song_list.IDX: song.idx,
        results.FILE: f"{song.name}{results.SUFFIX}",
        "seconds": audio["waveform"].shape[-1] / audio["sample_rate"],
        "ended_by_itself": tokens.ended[0],
        "seed": tokens.seeds[0],
        "sampling": asdict(tokens.sampling),
        "composer": asdict(tokens.composer),
        "started": listed.started,
        "saved": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        results.ASKED: song.request_hash,
        "settings": settings,
    }


def settings_of(prompt: dict, node: str) -> dict:
    """The nodes that a node's result comes from, with the inputs that are no connections; API format."""
    found, waiting = {}, [node]
    while waiting:
        name = waiting.pop()
        if name in found or name not in prompt:
            continue
        inputs = prompt[name]["inputs"]
        own = {key: value for key, value in inputs.items() if not isinstance(value, list)}
        found[name] = {"class_type": prompt[name]["class_type"], "inputs": own}
        waiting += [str(value[0]) for value in inputs.values() if isinstance(value, list)]
    return found


def _below_output(folder: Path) -> str:
    return folder.relative_to(os.path.abspath(folder_paths.get_output_directory())).as_posix()


def _state(path: Path | None) -> tuple:
    if path is None or not path.exists():
        return ()
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_size
