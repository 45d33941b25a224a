"""The node that finishes a song's sound."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.audio.loudness import integrated_loudness, true_peak_db
from ..levo.audio.mastering import Finish, finish
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
            is_input_list=True,  # takes come as a list, their tokens as one
        )

    @classmethod
    def execute(
        cls,
        audio: list[dict],
        trim: list[bool],
        silence_db: list[float],
        fade: list[str],
        fade_seconds: list[float],
        normalise: list[bool],
        loudness_lufs: list[float],
        limiter: list[bool],
        ceiling_db: list[float],
        tokens: list[SongTokens] | None = None,
    ) -> io.NodeOutput:
        wanted = Finish(
            silence_db[0] if trim[0] else None,
            fade_seconds[0] if fade[0] != OFF else None,
            loudness_lufs[0] if normalise[0] else None,
            ceiling_db[0] if limiter[0] else None,
        )
        songs = songs_of(audio)
        faded = faded_of(fade[0], len(songs), tokens)
        on_step, made = reporting.Progress(), []
        for number, (song, cut) in enumerate(zip(songs, faded, strict=True)):
            on_step(number, len(songs))
            sound = finish(song["waveform"], song["sample_rate"], wanted, [cut])
            made.append({**song, "waveform": sound})
        on_step(len(songs), len(songs))
        loudness = [integrated_loudness(song["waveform"][0], song["sample_rate"]) for song in made]
        return io.NodeOutput(made, loudness, [true_peak_db(song["waveform"][0]) for song in made])


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


def songs_of(audio: list[dict]) -> list[dict]:
    """Each song of a list of AUDIO as an AUDIO of its own.

    Raises:
        ValueError: more than two channels, or nothing at all.
    """
    songs = [{**each, "waveform": row[None]} for each in audio if each for row in each["waveform"]]
    for song in songs:
        if song["waveform"].shape[1] > 2 or not song["waveform"].numel():
            shape = list(song["waveform"].shape[1:])
            raise ValueError(
                f"LeVo Finish Song was given a sound of {shape[0]} channels and {shape[1]} samples; it "
                "takes mono and stereo."
            )
    return songs


def faded_of(choice: str, songs: int, tokens: list[SongTokens] | None) -> list[bool]:
    """Which songs fade out.

    Raises:
        ValueError: that depends on tokens, which are missing or those of other songs.
    """
    if choice != CUT:
        return [choice == ALL] * songs
    if not tokens:
        raise ValueError(
            "LeVo Finish Song cannot know which songs were cut at the limit; connect their tokens, or set "
            f"fade to {ALL!r} or {OFF!r}."
        )
    ended = [by_itself for song in tokens for by_itself in song.ended]
    if len(ended) != songs:
        raise ValueError(
            f"LeVo Finish Song counts {songs} in audio and {len(ended)} in tokens; connect the tokens that "
            "the songs were rendered from."
        )
    return [not by_itself for by_itself in ended]
