"""The nodes that say what a song should be."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.text import lyrics as lyric_text
from ..levo.text import style as tags_text
from ..levo.text.editing import MAX_CHARACTERS
from .host import reporting
from .sockets import ConditioningSocket, SongRequest, Style, StyleSocket

CATEGORY = "audio/LeVo/conditioning"
EXAMPLE = """[intro-short]

[verse]
Paper boats on a silver stream
I fold the morning into a dream

[chorus]
Hold on, hold on to the light
We were lanterns in the night

[outro-short]"""
SONG, INSTRUMENTAL = "song", "instrumental"
BOTH_STYLES = (
    "A style and tags are both given: the model's authors advise against it, as they may pull the song two "
    "ways; leave one of them out if it comes out muddled."
)
NO_LYRICS = "."  # what an instrumental is conditioned on
NAME = "LeVo Conditioning"


class LeVoLyrics(io.ComfyNode):
    """Checks and repairs lyrics."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoLyrics",
            display_name="LeVo Lyrics",
            category=CATEGORY,
            description="Brings lyrics into the model's strict format and says what cannot be repaired.",
            inputs=[
                io.String.Input(
                    "text",
                    display_name="lyrics",
                    multiline=True,
                    default=EXAMPLE,
                    tooltip="A heading such as [verse], [chorus], [bridge], [intro-short], [inst-medium] "
                    "or [outro-short] for each section, then one phrase a line; or the strict format.",
                )
            ],
            outputs=[
                io.String.Output(display_name="lyrics", tooltip="The lyrics in the strict format."),
                io.Int.Output(display_name="sections", tooltip="How many sections there are."),
                io.Float.Output(display_name="seconds", tooltip="A rough estimate of the song's length."),
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        if text is None:  # comes from another node: checked when it is known
            return True
        if len(text) > MAX_CHARACTERS:  # checked when it runs: all of ComfyUI waits for this answer
            return True
        try:
            lyric_text.parse(text)
        except lyric_text.LyricsError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, text: str) -> io.NodeOutput:
        parsed = lyric_text.parse(_text("LeVo Lyrics", "text", text))
        return io.NodeOutput(parsed.text, len(parsed.sections), parsed.seconds)


class LeVoDescription(io.ComfyNode):
    """Joins style tags."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoDescription",
            display_name="LeVo Description",
            category=CATEGORY,
            description="Joins short tags into the style description; every field may stay empty.",
            inputs=[
                io.Combo.Input(
                    "gender",
                    options=["any", "female", "male", "mixed"],
                    default="female",
                    tooltip="Who sings; any leaves it to the model.",
                ),
                io.String.Input(
                    "genre", default="pop", tooltip="For example pop rock, synth-pop, mandopop, folk."
                ),
                io.String.Input(
                    "emotion", default="wistful", tooltip="For example energetic, melancholic, romantic."
                ),
                io.String.Input(
                    "instruments",
                    default="piano, drums",
                    tooltip="For example acoustic guitar, strings, synthesizer.",
                ),
                io.String.Input(
                    "tags",
                    default="",
                    tooltip="Anything else, as short tags separated by commas; no sentences.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="description", tooltip="The tags as one list, with a full stop."
                )
            ],
        )

    @classmethod
    def execute(cls, gender: str, genre: str, emotion: str, instruments: str, tags: str) -> io.NodeOutput:
        who = None if gender == "any" else gender
        fields = _fields(
            "LeVo Description", gender=who, genre=genre, emotion=emotion, instruments=instruments, tags=tags
        )
        return io.NodeOutput(tags_text.describe(**fields))


class LeVoConditioning(io.ComfyNode):
    """Puts lyrics and description together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoConditioning",
            display_name="LeVo Conditioning",
            category=CATEGORY,
            description="Puts lyrics and style together for LeVo Compose; works with every checkpoint.",
            inputs=[
                io.Combo.Input(
                    "kind",
                    options=[SONG, INSTRUMENTAL],
                    default=SONG,
                    tooltip="A song is sung; an instrumental takes no lyrics (render its accompaniment).",
                ),
                io.String.Input(
                    "lyrics",
                    optional=True,
                    force_input=True,
                    tooltip="From LeVo Lyrics; a song needs them.",
                ),
                io.String.Input(
                    "description",
                    optional=True,
                    force_input=True,
                    tooltip="Style tags from LeVo Description; without any the model chooses.",
                ),
                StyleSocket.Input(
                    "style",
                    optional=True,
                    tooltip="From LeVo Style from Audio or Library; the authors advise against tags then.",
                ),
            ],
            outputs=[
                ConditioningSocket.Output(display_name="conditioning", tooltip="What the song should be.")
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        kind: str,
        lyrics: str | None = None,
        description: str | None = None,
        style: Style | None = None,
    ) -> io.NodeOutput:
        instrumental = kind == INSTRUMENTAL
        words = NO_LYRICS if instrumental else _words(lyrics)
        tags = tags_text.describe(**_fields(NAME, description=description))
        if style is not None and tags:
            reporting.warn(cls.hidden.unique_id, BOTH_STYLES)
        return io.NodeOutput(SongRequest(words, tags, instrumental, None if style is None else style.codes))


def _words(lyrics: object) -> str:
    """What is sung, in the strict format.

    Raises:
        ValueError: there are no lyrics, or they are not in order.
    """
    if lyrics is None:
        raise ValueError(f"{NAME} has no lyrics; connect a LeVo Lyrics node or set kind to instrumental.")
    return lyric_text.parse(_text(NAME, "lyrics", lyrics)).text


def _fields(node: str, **texts: object) -> dict[str, str]:
    """Fields of a description; those without a text are empty.

    Raises:
        ValueError: one is no text.
    """
    return {name: "" if text is None else _text(node, name, text) for name, text in texts.items()}


def _text(node: str, name: str, value: object) -> str:
    """A value that another node may have given.

    Raises:
        ValueError: it is no text.
    """
    if not isinstance(value, str):
        kind = "nothing" if value is None else type(value).__name__
        raise ValueError(f"{node} needs a text as {name}, not {kind}; connect a node that gives text.")
    return value
