"""The node that saves songs of a list, with what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from comfy_api.latest import io

from ..levo.audio.encode import FORMATS, encode, holds
from ..levo.audio.file_tags import FileTags
from ..levo.audio.sound import Sound, sound_of
from ..levo.batch import saving, song_list
from ..levo.batch.record import record_of
from ..levo.song.file_tags import tagged
from ..levo.song.tokens import checked_tokens
from .batch import CATEGORY, below_output
from .export import SHOWN_SONGS, entry_of
from .host import reporting
from .host.prompts import embedded, upstream
from .inputs import format_at, format_input
from .sockets import ListedSong, SongSocket, SongTokens, TokensSocket

NAME = "LeVo Save Song"
FORMAT = "FLAC 16-bit"  # of graphs from before there was a choice
SONG = "song"


class LeVoSaveSong(io.ComfyNode):
    """Saves songs of a list and what became of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSaveSong",
            display_name=NAME,
            category=CATEGORY,
            description="Saves a song of a list as FLAC, WAV, MP3 or Opus under its idx, and adds a line "
            "to results.jsonl beside it.",
            inputs=[
                SongSocket.Input("song", tooltip="From LeVo Songs from JSONL."),
                io.Audio.Input("audio", tooltip="The song's sound."),
                TokensSocket.Input("tokens", tooltip="What the sound was rendered from."),
                format_input(FORMAT, optional=True),
            ],
            outputs=[
                io.String.Output(display_name="file", tooltip="Where the song lies.", is_output_list=True)
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            is_input_list=True,  # of several takes only all together tell whose they are
        )

    @classmethod
    def execute(cls, song: list[ListedSong], audio: list[dict], **inputs: list) -> io.NodeOutput:
        files, fits = save_all(song, audio, inputs["tokens"], inputs.get("format") or [FORMAT], cls)
        lines = [f"Saved {below_output(file.parent)}/{file.name}." for file in files[-SHOWN_SONGS:]]
        lines += [] if fits else ["The workflow is not in the file: it is more than a FLAC holds."]
        reporting.show_text(cls.hidden.unique_id, "\n".join(lines))
        entries = [entry_of(file) for file in files]
        return io.NodeOutput([str(file) for file in files], ui={"audio": entries})


def save_all(
    songs: list[ListedSong],
    audio: list[dict],
    tokens: list[SongTokens],
    formats: list[str],
    node: type[io.ComfyNode],
) -> tuple[list[Path], bool]:
    """Save all sounds that can be saved; gives their files, and whether all hold the workflow.

    Args:
        songs: of a list.
        audio: of all of them, one or more in each.
        tokens: of all of them, in the same order.
        formats: of each of the songs; the last goes for all that follow.
        node: that saves.

    Raises:
        ValueError: the sounds are not those of the songs, or one could not be saved.
    """
    sounds = [sound for each in audio for sound in _rows(each)]
    tokens = [checked_tokens(one, NAME) for one in tokens]
    takes = [len(one.lengths) for one in tokens]
    settings, workflow = upstream(node.hidden.prompt or {}, node.hidden.unique_id), embedded(node)
    forms = [format_at(number, formats, NAME) for number in range(len(songs))]
    files, errors, fits = [], [], True
    for sound, (number, take) in zip(sounds, saving.takes_of(len(songs), takes, len(sounds)), strict=True):
        listed, song_tokens = songs[number], tokens[min(number, len(tokens) - 1)]
        seconds = sound.waveform.shape[-1] / sound.rate
        record = record_of(listed.planned.song, song_tokens, take, seconds, listed.started, settings)
        tags = tagged(FileTags(listed.planned.song.idx, more=workflow), song_tokens, take)
        if not holds(forms[number], tags):
            tags, fits = replace(tags, more={}), False
        try:
            files.append(save(listed, take, sound, forms[number], tags, record))
        except (ValueError, OSError) as error:
            errors.append(saving.refusal(listed.planned, error))
    if errors:
        raise ValueError("\n".join(song_list.first_sentences(errors, "songs")))
    return files, fits


def save(listed: ListedSong, take: int, sound: Sound, form: str, tags: FileTags, record: Mapping) -> Path:
    """Write a take's sound, whole or not at all, and its result; gives its file."""
    planned = replace(listed.planned, suffix=FORMATS[form].suffix)
    data = encode(sound.waveform[0], sound.rate, form, tags)
    return saving.save(planned, take, {SONG: data}, dict(record))


def _rows(audio: dict | None) -> list[Sound]:
    """Each song of an AUDIO as a sound of its own."""
    if audio is None:
        raise ValueError(f"{NAME} got no sound; connect the audio that was made of the song's tokens.")
    return sound_of(audio, "audio").rows()
