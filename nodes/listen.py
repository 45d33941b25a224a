"""The node that plays a song in the editor."""

from __future__ import annotations

from dataclasses import asdict

from comfy_api.latest import io

from ..levo.audio.loudness import integrated_loudness
from ..levo.audio.sound import sound_of
from ..levo.config import TRACKS
from ..levo.song.tokens import checked_tokens
from ..levo.text.lyrics import Lyrics, LyricsError, parse
from ..levo.text.timeline import marks
from .host import reporting
from .sockets import SongTokens, TokensSocket


class LeVoListen(io.ComfyNode):
    """Shows a song to web/js/listen.js: files of its tracks, their loudness, and marks of its sections."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoListen",
            display_name="LeVo Listen",
            category="audio/LeVo",
            description="Plays tracks of a song in step, with a fader and a waveform each, and the words.",
            inputs=[
                io.Audio.Input("mix", optional=True, tooltip="The whole song."),
                io.Audio.Input("vocals", optional=True, tooltip="The vocals alone."),
                io.Audio.Input("accompaniment", optional=True, tooltip="The accompaniment alone."),
                TokensSocket.Input(
                    "tokens",
                    optional=True,
                    tooltip="What the tracks were rendered from: the lyrics in it give the section marks "
                    "and the line below the waveforms, which are estimates.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        mix: list[dict | None] | None = None,
        vocals: list[dict | None] | None = None,
        accompaniment: list[dict | None] | None = None,
        tokens: list[SongTokens | None] | None = None,
    ) -> io.NodeOutput:
        tracks = takes_of({"mix": mix, "vocals": vocals, "accompaniment": accompaniment})
        if not tracks:
            reporting.show_text(cls.hidden.unique_id, "No audio, so nothing to play.")
        files = {name: [reporting.preview(take, cls) for take in tracks[name]] for name in tracks}
        takes = shown(tracks, files, next((song for song in tokens or () if song is not None), None))
        every = [file for take in takes for file in take["tracks"].values()]
        return io.NodeOutput(ui={"audio": every, "takes": takes})


def shown(
    tracks: dict[str, list[dict]], files: dict[str, list[dict]], song: SongTokens | None
) -> list[dict]:
    """What the player is told of each take: its files and their loudness by track, and its section marks.

    Args:
        tracks: AUDIO of the takes of each track, as many of each.
        files: of the same, as the editor finds them.
        song: what all was rendered from, where that is known.
    """
    song = None if song is None else checked_tokens(song, "LeVo Listen")
    takes = list(zip(*tracks.values(), strict=True))
    return [
        {
            "tracks": {name: files[name][number] for name in files},
            "loudness": {name: loudness_of(tracks[name][number]) for name in tracks},
            "sections": sections_of(song, number, len(takes), max(map(seconds_of, take))),
        }
        for number, take in enumerate(takes)
    ]


def takes_of(audio_of: dict[str, list[dict | None] | None]) -> dict[str, list[dict]]:
    """The takes of each track that is there, each an AUDIO of one; from lists of AUDIO and batches in them.

    A track that is connected and has no sound, as that of a silent video, is left out.

    Raises:
        SoundError: something is no sound.
        ValueError: no track is connected, or they have different numbers of takes.
    """
    if not any(audio_of.values()):
        raise ValueError(
            "LeVo Listen has nothing to play; connect the mix, the vocals or the accompaniment."
        )
    tracks = {}
    for name in TRACKS:
        sounds = [sound_of(audio, name) for audio in audio_of[name] or () if audio is not None]
        songs = [song for sound in sounds for song in sound.rows()]
        if songs:
            tracks[name] = [{"waveform": song.waveform, "sample_rate": song.rate} for song in songs]
    counts = {name: len(takes) for name, takes in tracks.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise ValueError(
            f"LeVo Listen was given unlike numbers of takes ({listed}); connect tracks of one song."
        )
    return tracks


def seconds_of(audio: dict) -> float:
    """Length of an AUDIO."""
    return audio["waveform"].shape[-1] / audio["sample_rate"]


def loudness_of(audio: dict) -> float:
    """Integrated loudness of an AUDIO of one take in LUFS, to a tenth as it is shown; -200 is silence."""
    reporting.raise_if_cancelled()
    return round(integrated_loudness(audio["waveform"][0], audio["sample_rate"]), 1)


def sections_of(tokens: SongTokens | None, take: int, takes: int, seconds: float) -> list[dict]:
    """The section marks of a take as the player reads them; none without lyrics."""
    lyrics = lyrics_of(tokens) if tokens else None
    if tokens is None or lyrics is None:
        return []
    ended = tokens.ended[take] if len(tokens.ended) == takes else all(tokens.ended)
    return [asdict(mark) for mark in marks(lyrics, seconds, ended)]


def lyrics_of(tokens: SongTokens) -> Lyrics | None:
    """The lyrics a song was made from; None for an instrumental."""
    try:
        return parse(tokens.request.lyrics)
    except LyricsError:
        return None
