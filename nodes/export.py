"""The node that saves songs as people hand them on: tagged, in a format of choice, stems in a zip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comfy_api.latest import io

from ..levo.audio.cover import covers_of
from ..levo.audio.encode import FORMATS, clipped_samples, encode
from ..levo.audio.file_tags import Cover, FileTags
from ..levo.audio.sound import Sound, sound_of
from ..levo.batch import names, release
from ..levo.files.names import shown
from ..levo.song.file_tags import tagged
from ..levo.song.tokens import checked_tokens
from .batch import below_output
from .host import reporting
from .host.prompts import embedded
from .inputs import format_at, format_input, text_at
from .sockets import SongTokens, TokensSocket
from .tokens import paths_for

NAME = "LeVo Export Song"
STEMS = ("vocals", "accompaniment")
SHOWN_SONGS = 3  # songs of a run that the node names


@dataclass(frozen=True)
class Take:
    """A song that is to be saved, one of perhaps many."""

    sound: Sound  # of one row, as are the stems
    stems: dict[str, Sound]
    tags: FileTags
    pattern: str  # of its name
    named: Mapping[str, str]  # what the names in braces in it stand for
    form: str  # one of FORMATS


class LeVoExport(io.ComfyNode):
    """Saves songs in a format of choice."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoExport",
            display_name=NAME,
            category="audio/LeVo",
            description="Saves songs as FLAC, WAV, MP3 or Opus with title, lyrics, cover; stems as a zip.",
            inputs=[
                io.Audio.Input("audio", tooltip="Songs of LeVo Decode or LeVo Finish Song, or any sound."),
                *_name_inputs(),
                *_song_inputs(),
            ],
            outputs=[
                io.String.Output(display_name="file", tooltip="Where each song lies.", is_output_list=True)
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            is_input_list=True,  # takes come as a list, their tokens as one
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: list[str | None]) -> bool | str:
        for pattern in filename_prefix:  # None where it comes from another node
            try:
                release.require_known(pattern or "")
            except release.PatternError as error:
                return _unusable(pattern, error)
        return True

    @classmethod
    def execute(cls, audio: list[dict | None], **inputs: list) -> io.NodeOutput:
        workflow = embedded(cls) if all(inputs["embed_workflow"]) else {}
        saved = save_all(takes_of(audio, inputs, workflow), cls.hidden.unique_id)
        zips = [entry_of(file) for _, *others in saved for file in others]
        shown_files = {"audio": [entry_of(song) for song, *_ in saved], **({"zip": zips} if zips else {})}
        return io.NodeOutput([str(song) for song, *_ in saved], ui=shown_files)


def _name_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "filename_prefix",
            default="audio/LeVo",
            tooltip="How the file's name begins, in ComfyUI's output folder; a number is added. {title}, "
            "{artist}, {seed} and {take} stand for the song's own, %date:yyyy-MM-dd% and the like for what "
            "they do in other save nodes.",
        ),
        format_input(next(iter(FORMATS))),
        io.String.Input("title", default="", tooltip="The song's title, for players and {title}."),
        io.String.Input("artist", default="", tooltip="Who made it, for players and {artist}."),
        io.Boolean.Input(
            "embed_workflow",
            default=True,
            tooltip="Put this workflow into the file, as other save nodes do: a FLAC, MP3 or Opus dragged "
            "onto ComfyUI opens it. Off for files that you hand on.",
        ),
    ]


def _song_inputs() -> list[io.Input]:
    return [
        TokensSocket.Input(
            "tokens",
            optional=True,
            tooltip="What the songs were rendered from: gives their lyrics, tags and seeds to players.",
        ),
        io.Audio.Input("vocals", optional=True, tooltip="The vocals alone, for a zip of stems."),
        io.Audio.Input("accompaniment", optional=True, tooltip="The accompaniment alone, for this zip."),
        io.Image.Input(
            "cover", optional=True, tooltip="The front cover: one picture for all songs, or one for each."
        ),
    ]


# What is to be saved -------------------------------------------------------------------------------------


def takes_of(
    audio: list[dict | None], inputs: Mapping[str, list], workflow: Mapping[str, str]
) -> list[Take]:
    """All songs of a list of AUDIO, each checked, with all that belongs to it.

    Args:
        audio: songs, one or more in each.
        inputs: the node's others, each a list.
        workflow: the graph as texts, which go into the files under names that no player knows.

    Raises:
        ValueError: something is not what it should be, or belongs to other songs.
    """
    places = [
        (place, sound) for place, each in enumerate(audio) for sound in sound_of(each, "audio").rows()
    ]
    count = len(places)
    stems = {name: _stem(name, inputs[name], count) for name in STEMS if inputs.get(name)}
    songs, covers = _songs(inputs.get("tokens") or (), count), _covers(inputs.get("cover") or (), count)
    takes = []
    for number, (place, sound) in enumerate(places):
        title, artist, pattern = (
            text_at(place, inputs[name], name, NAME) for name in ("title", "artist", "filename_prefix")
        )
        tags = FileTags(title, artist, cover=covers[number], more=workflow)
        named = {"title": title, "artist": artist, "take": str(number + 1)}
        if song := songs[number]:
            tags, named["seed"] = tagged(tags, *song), str(song[0].seeds[song[1]])
        take_stems = {name: sounds[number] for name, sounds in stems.items()}
        form = format_at(place, inputs["format"], NAME)
        takes.append(Take(sound, take_stems, tags, pattern, named, form))
    return takes


def _stem(name: str, audio: list[dict | None], count: int) -> list[Sound]:
    sounds = [sound for each in audio for sound in sound_of(each, name).rows()]
    return _as_many(sounds, count, name)


def _as_many(each: list, count: int, name: str) -> list:
    if len(each) != count:
        raise ValueError(
            f"{NAME} counts {count} in audio and {len(each)} in {name}; connect those of the same songs."
        )
    return each


def _songs(tokens: Sequence[object], count: int) -> list[tuple[SongTokens, int] | None]:
    """The tokens of each song, and which take of them it is; None where none are connected."""
    known = [checked_tokens(song, NAME) for song in tokens if song is not None]
    if not known:
        return [None] * count
    return _as_many([(song, take) for song in known for take in range(len(song.lengths))], count, "tokens")


def _covers(images: Sequence[object], count: int) -> list[Cover | None]:
    covers: list[Cover | None] = [cover for image in images for cover in covers_of(image)]
    return _as_many(covers, count, "cover") if len(covers) > 1 else (covers or [None]) * count


# Saving --------------------------------------------------------------------------------------------------


def save_all(takes: Sequence[Take], node_id: str | None) -> list[list[Path]]:
    """Save songs, with progress and Cancel; gives the files of each, the song first.

    What is wrong with a name is found before anything is written; songs that are saved stay where another
    one cannot be.

    Raises:
        ValueError: a pattern gives no name, or one that leaves the output folder; a format cannot hold a
            sound; the disk does not let us.
    """
    prefixes = [_prefix(take) for take in takes]
    on_step, saved, lines = reporting.Progress(), [], []
    for number, (take, prefix) in enumerate(zip(takes, prefixes, strict=True)):
        on_step(number, len(takes))
        saved.append(_save(take, prefix))
        lines += [_saved_text(take, saved[-1])]
        reporting.show_text(node_id, "\n".join(lines[-SHOWN_SONGS:]))
    on_step(len(takes), len(takes))
    return saved


def _prefix(take: Take) -> str:
    try:
        return release.filled(take.pattern, take.named)
    except release.PatternError as error:
        raise ValueError(_unusable(take.pattern, error)) from error


def _unusable(pattern: str | None, error: Exception) -> str:
    return f"{NAME} cannot use the filename_prefix {shown(pattern or '')}, {error}."


def _save(take: Take, prefix: str) -> list[Path]:
    """Write a song, and a zip if it has stems."""
    song = _encoded(take, take.sound, take.tags)
    start, paths = paths_for(prefix, FORMATS[take.form].suffix, NAME)
    name = names.file_name(take.tags.title) or start.stem
    stems = {}
    for stem, sound in take.stems.items():
        title = f"{take.tags.title or name} ({stem})"
        stems[f"{name} - {stem}{start.suffix}"] = _encoded(take, sound, replace(take.tags, title=title))
    return release.put(start, paths, song, stems)


def _encoded(take: Take, sound: Sound, tags: FileTags) -> bytes:
    return encode(sound.waveform[0], sound.rate, take.form, tags)


def _saved_text(take: Take, files: list[Path]) -> str:
    """What is said of a song that was saved."""
    where = " and ".join(f"{below_output(file.parent)}/{file.name}".removeprefix("./") for file in files)
    clipped = sum(clipped_samples(sound.waveform) for sound in (take.sound, *take.stems.values()))
    if not clipped:
        return f"Saved {where}."
    return f"Saved {where}. {clipped:,} samples were too loud and are clipped: see LeVo Finish Song."


def entry_of(file: Path) -> dict[str, str]:
    """A file in the output folder as the editor finds it."""
    folder = below_output(file.parent)
    return {"filename": file.name, "subfolder": "" if folder == "." else folder, "type": "output"}
