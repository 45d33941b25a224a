"""The node that saves songs of a list, with what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from comfy_api.latest import io, ui

from ..levo.audio.sound import sound_of
from ..levo.batch import saving, song_list
from ..levo.batch.record import record_of
from ..levo.song.tokens import checked_tokens
from .batch import CATEGORY, below_output
from .host.prompts import upstream
from .sockets import ListedSong, SongSocket, SongTokens, TokensSocket

NAME = "LeVo Save Song"


class LeVoSaveSong(io.ComfyNode):
    """Saves songs of a list and what became of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSaveSong",
            display_name=NAME,
            category=CATEGORY,
            description="Saves a song of a list as a FLAC under its idx, and adds a line to results.jsonl "
            "beside it.",
            inputs=[
                SongSocket.Input("song", tooltip="From LeVo Songs from JSONL."),
                io.Audio.Input("audio", tooltip="The song's sound."),
                TokensSocket.Input("tokens", tooltip="What the sound was rendered from."),
            ],
            outputs=[
                io.String.Output(display_name="file", tooltip="Where the FLAC lies.", is_output_list=True)
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            is_input_list=True,  # of several takes only all together tell whose they are
        )

    @classmethod
    def execute(cls, song: list[ListedSong], audio: list[dict], tokens: list[SongTokens]) -> io.NodeOutput:
        files = [Path(file) for file in save_all(song, audio, tokens, cls)]
        entries = [
            ui.SavedResult(file.name, below_output(file.parent), io.FolderType.output) for file in files
        ]
        return io.NodeOutput([str(file) for file in files], ui=ui.SavedAudios(entries))


def save_all(
    songs: list[ListedSong], audio: list[dict], tokens: list[SongTokens], node: type[io.ComfyNode]
) -> list[Path]:
    """Save all sounds that can be saved; gives their files.

    Raises:
        ValueError: the sounds are not those of the songs, or one could not be saved.
    """
    sounds = list(_one_by_one(audio))
    tokens = [checked_tokens(one, NAME) for one in tokens]
    takes = [len(one.lengths) for one in tokens]
    settings = upstream(node.hidden.prompt or {}, node.hidden.unique_id)
    files, errors = [], []
    for sound, (number, take) in zip(sounds, saving.takes_of(len(songs), takes, len(sounds)), strict=True):
        listed, made = songs[number], tokens[min(number, len(tokens) - 1)]
        seconds = sound["waveform"].shape[-1] / sound["sample_rate"]
        record = record_of(listed.planned.song, made, take, seconds, listed.started, settings)
        try:
            files.append(save(listed, take, sound, record, node))
        except (ValueError, OSError) as error:
            errors.append(saving.refusal(listed.planned, error))
    if errors:
        raise ValueError("\n".join(song_list.first_sentences(errors, "songs")))
    return files


def save(listed: ListedSong, take: int, sound: dict, record: dict, node: type[io.ComfyNode]) -> Path:
    """Write a FLAC with the workflow in it, whole or not at all, and its result; gives its place."""
    planned = listed.planned
    with saving.partial(planned.folder) as name:
        prefix = f"{below_output(planned.folder)}/{name}"
        (made,) = ui.AudioSaveHelper.save_audio(sound, prefix, io.FolderType.output, node)
        return saving.keep(planned, take, planned.folder / made.filename, record)


def _one_by_one(audio: list[dict]) -> Iterator[dict]:
    for sound in audio:
        if sound is None:
            raise ValueError(f"{NAME} got no sound; connect the audio that was made of the song's tokens.")
        checked = sound_of(sound, "audio")
        for waveform in checked.waveform:
            yield {"waveform": waveform[None], "sample_rate": checked.rate}
