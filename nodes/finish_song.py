"""The node that finishes a song's sound."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..levo.audio.loudness import integrated_loudness, true_peak_db
from ..levo.audio.mastering import Finish, finish
from ..levo.audio.sound import sound_of
from ..levo.song.tokens import checked_tokens
from .host import reporting
from .sockets import SongTokens, TokensSocket

CUT, ALL, OFF = "songs cut at the limit", "all songs", "off"


class LeVoFinishSong(io.ComfyNode):
    """Ends songs well and sets how loud they are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoFinishSong",
            display_name="LeVo Finish Song",
            category="audio/LeVo",
            description="Trims silence, fades out songs that were cut off, sets loudness and peaks.",
            inputs=[
                io.Audio.Input(
                    "audio", tooltip="Songs from LeVo Decode, or any sound of one or two channels."
                ),
                TokensSocket.Input(
                    "tokens",
                    optional=True,
                    tooltip="What the songs were rendered from; says which of them were cut at the limit.",
                ),
                *_ending_inputs(),
                *_level_inputs(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio", tooltip="The finished songs, one by one.", is_output_list=True
                ),
                io.Float.Output(
                    display_name="loudness",
                    tooltip="Integrated loudness of each in LUFS; -200 is silence.",
                    is_output_list=True,
                ),
                io.Float.Output(
                    display_name="true peak",
                    tooltip="Highest peak of each in dBTP; above 0 it is clipped when played.",
                    is_output_list=True,
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_input_list=True,  # takes come as a list, their tokens as one
        )

    @classmethod
    def execute(
        cls, audio: list[dict | None], tokens: list[SongTokens | None] | None = None, **settings: list
    ) -> io.NodeOutput:
        songs, chosen = songs_of(audio), {name: first(name, values) for name, values in settings.items()}
        if not songs:
            reporting.show_text(cls.hidden.unique_id, "No audio, so nothing to finish.")
            return io.NodeOutput(*([ExecutionBlocker(None)] for _ in range(3)))
        results = finished(songs, finish_of(**chosen), faded_of(chosen["fade"], len(songs), tokens))
        sounds = [(song["waveform"][0], song["sample_rate"]) for song in results]
        loudness = [integrated_loudness(*sound) for sound in sounds]
        return io.NodeOutput(results, loudness, [true_peak_db(waveform) for waveform, _ in sounds])


def _ending_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input("trim", default=True, tooltip="Cut off silence at the end."),
        io.Float.Input(
            "silence_db",
            default=-60.0,
            min=-120.0,
            max=-20.0,
            step=1.0,
            tooltip="For trim: what never rises above this level in dBFS is silence.",
        ),
        io.Combo.Input(
            "fade",
            options=[CUT, ALL, OFF],
            default=CUT,
            tooltip="Which songs fade out; those cut at the limit are known by their tokens.",
        ),
        io.Float.Input(
            "fade_seconds",
            default=5.0,
            min=0.0,
            max=60.0,
            step=0.5,
            tooltip="How long a song takes to fade out.",
        ),
    ]


def _level_inputs() -> list[io.Input]:
    return [
        io.Boolean.Input("normalise", default=False, tooltip="Turn songs up or down to one loudness."),
        io.Float.Input(
            "loudness_lufs",
            default=-14.0,
            min=-40.0,
            max=0.0,
            step=0.5,
            tooltip="For normalise: integrated loudness in LUFS; streaming services play at about -14.",
        ),
        io.Boolean.Input(
            "limiter",
            default=True,
            tooltip="Turn down peaks that would be clipped; songs without such peaks stay as they are.",
        ),
        io.Float.Input(
            "ceiling_db",
            default=-1.0,
            min=-20.0,
            max=0.0,
            step=0.1,
            tooltip="For limiter: the highest true peak in dBTP.",
        ),
    ]


def first(name: str, values: list) -> Any:
    """The one value of a setting, which comes as a list; raises ValueError: there is none."""
    if not values or values[0] is None:
        raise ValueError(f"LeVo Finish Song was given nothing for {name}; set it, or connect a value.")
    return values[0]


def songs_of(audio: list[dict | None]) -> list[dict]:
    """Each song of a list of AUDIO as an AUDIO of its own; none of what has no sound, as a silent video.

    Raises:
        SoundError: something is no sound.
    """
    sounds = [(each, sound_of(each, "audio")) for each in audio if each is not None]
    return [
        {**each, "waveform": song.waveform, "sample_rate": song.rate}
        for each, sound in sounds
        for song in sound.rows()
    ]


def finish_of(
    trim: bool,
    silence_db: float,
    fade: str,
    fade_seconds: float,
    normalise: bool,
    loudness_lufs: float,
    limiter: bool,
    ceiling_db: float,
) -> Finish:
    """What is done to songs, by the node's inputs."""
    return Finish(
        silence_db if trim else None,
        fade_seconds if fade != OFF else None,
        loudness_lufs if normalise else None,
        ceiling_db if limiter else None,
    )


def finished(songs: list[dict], settings: Finish, faded: list[bool]) -> list[dict]:
    """Finish songs, with progress and Cancel."""
    on_step, results = reporting.Progress(), []
    for number, (song, cut) in enumerate(zip(songs, faded, strict=True)):
        on_step(number, len(songs))
        results.append({**song, "waveform": finish(song["waveform"], song["sample_rate"], settings, [cut])})
    on_step(len(songs), len(songs))
    return results


def faded_of(choice: str, songs: int, tokens: list[SongTokens | None] | None) -> list[bool]:
    """Which songs fade out.

    Raises:
        ValueError: that depends on tokens, which are missing or those of other songs.
    """
    if choice != CUT:
        return [choice == ALL] * songs
    known = [checked_tokens(song, "LeVo Finish Song") for song in tokens or () if song is not None]
    if not known:
        raise ValueError(
            "LeVo Finish Song cannot know which songs were cut at the limit; connect their tokens, or set "
            f"fade to {ALL!r} or {OFF!r}."
        )
    ended = [by_itself for song in known for by_itself in song.ended]
    if len(ended) != songs:
        raise ValueError(
            f"LeVo Finish Song counts {songs} in audio and {len(ended)} in tokens; connect the tokens that "
            "the songs were rendered from."
        )
    return [not by_itself for by_itself in ended]
