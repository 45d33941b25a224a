"""Sizes and constants of the models, and a table of the released checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from numbers import Integral, Real

SAMPLE_RATE = 48_000
FRAME_RATE = 25
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE

CODES = 16_384  # a code is 0 .. CODES - 1
END = CODES  # the stream ends here
EMPTY = CODES + 1  # nothing sung here: before a stream starts, after it ended, no style prompt
LYRIC_ROWS = 151_659  # Qwen2's ids and 13 section tags
STYLE_ROWS = {"v1": 151_646, "v2": 151_652}  # v2 adds six quality markers
STRUCTURE_ROWS = 200
PROMPT_FRAMES = 250  # a style prompt is 10 s
ENCODED_FRAMES = 1_000  # the style encoder always sees 40 s
SILENT_VOCAL = 3_142  # the code that stands for no voice
SILENT_ACCOMPANIMENT = 9_670  # the code that stands for no band

MOST_GUIDANCE = 100.0  # beyond it logits and velocities are no numbers any more
COLDEST, HOTTEST = 1e-6, 100.0  # temperatures above 0, and other numbers, that logits can be divided by

RENDER_STEPS = 10  # as released since March 2026; 50 before
RENDER_GUIDANCE = 1.5


def described(value: object) -> str:
    """A value that should not be where it is, for a message: a number itself, of anything else its type."""
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, (int, float)) else f"of type {type(value).__name__}"


def first_line(error: BaseException) -> str:
    """What an error says first, for a message, without a full stop; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


class SettingError(ValueError):
    """A setting that nothing can be made with, in one sentence."""


def require_number(name: str, value: object, low: float, high: float, whole: bool = False) -> None:
    """Raises SettingError: a setting is no number, NaN, not whole where that is asked, or out of bounds."""
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if number and low <= value <= high:  # type: ignore[operator]  # false for NaN
        return
    allowed = f"a {'whole ' if whole else ''}number from {low:,.15g} to {high:,.15g}"
    raise SettingError(f"The {name} is {described(value)}; set it to {allowed}.")


@dataclass(frozen=True)
class LelmConfig:
    """LeLM, the language model: two Llama stages over a prefix and three code streams."""

    version: str  # "v1" or "v2": decides tokenizers and style text
    width: int
    inner: int
    heads: int
    layers: int
    layers_sub: int  # depth of stage 2
    lyric_length: int  # ids; longer lyrics are cut
    style_length: int
    max_seconds: float
    rope_theta: float
    rope_theta_sub: float = 500_000.0
    delays: tuple[int, int, int] = (0, 250, 250)  # frames: mixed, vocal, accompaniment

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def prompt_length(self) -> int:
        return PROMPT_FRAMES + 2

    @property
    def prefix_length(self) -> int:
        """Positions before the first code: lyric, style prompt, style text."""
        return self.lyric_length + self.prompt_length + self.style_length


@dataclass(frozen=True)
class RendererConfig:
    """The flow transformer and the two codebooks that feed it."""

    layers: int = 16
    heads: int = 20
    inner: int = 4_400
    mask: int = 24  # width of the mask embedding
    latent: int = 64
    condition: int = 1_024  # width of one track's decoded codes
    code_width: int = 32
    time: int = 512  # sinusoids of the time embedding
    window: int = 1_000  # frames a window; also the rows of the position table
    overlap: int = 250

    @property
    def width(self) -> int:
        """Everything known of a frame side by side; there is no input projection."""
        return self.mask + 2 * self.latent + 2 * self.condition

    @property
    def hop(self) -> int:
        return self.window - self.overlap


@dataclass(frozen=True)
class VaeConfig:
    """The Oobleck autoencoder between latents and stereo sound."""

    channels: int = 128
    multiples: tuple[int, ...] = (1, 2, 4, 8, 16)
    strides: tuple[int, ...] = (2, 4, 4, 6, 10)
    latent: int = 64
    audio_channels: int = 2
    chunk: int = 128  # frames decoded at once
    overlap: int = 32

    @property
    def ratio(self) -> int:
        """Samples a latent frame."""
        return prod(self.strides)

    @property
    def widths(self) -> list[int]:
        """Channels from the waveform side to the latent side."""
        return [self.channels * m for m in (1, *self.multiples)]


@dataclass(frozen=True)
class SeparatorConfig:
    """HTDemucs, which splits a mix into four stems."""

    channels: int = 48  # of the outermost layer
    compression: int = 8  # of the residual branches
    bottom: int = 512  # width of the transformer
    layers: int = 5  # of the transformer
    segment: Fraction = Fraction(39, 5)  # seconds heard at once
    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")  # in the order of the outputs
    sample_rate: int = 44_100

    @property
    def window(self) -> int:
        """Samples heard at once."""
        return int(self.segment * self.sample_rate)


@dataclass(frozen=True)
class StyleEncoderConfig:
    """MusicFM, and a quantiser for each track that a tokenizer file turns into codes."""

    tracks: tuple[str, ...]
    depths: tuple[int, ...]  # conformer layers before each track's quantiser
    width: int = 1_024
    inner: int = 4_096
    heads: int = 16
    channels: int = 512  # of the convolutions
    mels: int = 128
    kernel: int = 31  # frames of a conformer's convolution
    code_width: int = 32

    @property
    def layers(self) -> int:
        """Conformer layers that are needed."""
        return max(self.depths)

    @property
    def steps(self) -> int:
        """Pieces of work that encoding all tracks is counted in: the convolutions and each layer."""
        return sum(self.depths) + len(self.depths)

    def depth_of(self, track: str) -> int:
        """Layers before a track's quantiser."""
        return self.depths[self.tracks.index(track)]


MIXED_ENCODER = StyleEncoderConfig(("mixed",), (6,))  # of the 1rvq file
TRACK_ENCODER = StyleEncoderConfig(("vocal", "accompaniment"), (7, 3))  # of the septoken file


@dataclass(frozen=True)
class Sampling:
    """How Compose draws codes; the defaults are the released ones.

    `temperature` 0 means the likeliest code always; `top_p` above 0 takes the place of `top_k`.

    Raises:
        SettingError: nothing can be drawn with these numbers.
    """

    guidance: float = 1.5
    temperature: float = 0.8
    top_k: int = 5_000
    top_p: float = 0.0
    repetition_window: int = 50  # steps that the repetition rule looks back over
    repetition_divisor: float = 1.1

    def __post_init__(self) -> None:
        require_number("guidance", self.guidance, -MOST_GUIDANCE, MOST_GUIDANCE)
        require_number("temperature", self.temperature, 0, HOTTEST)
        if self.temperature:
            require_number("temperature, where it is not 0,", self.temperature, COLDEST, HOTTEST)
        require_number("top_k", self.top_k, 1, 1 << 31, whole=True)
        require_number("top_p", self.top_p, 0, 1)
        require_number("repetition_window", self.repetition_window, 0, 1 << 20, whole=True)
        require_number("repetition_divisor", self.repetition_divisor, -100, 100)
        require_number("repetition_divisor, without its sign,", abs(self.repetition_divisor), COLDEST, 100)


CUSTOM = "custom"  # the preset that stands for any numbers


@dataclass(frozen=True)
class Preset:
    """What a published program composes with, and the steps that it renders in."""

    temperature: float
    top_k: int
    steps: int
    top_p: float = 0.0  # above 0 it would take the place of top_k

    @property
    def sampling(self) -> dict[str, float]:
        """Its part of `Sampling`."""
        return {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}


PRESETS = {
    "released": Preset(0.8, 5_000, RENDER_STEPS),
    "levo-demo": Preset(0.9, 50, 50),
    "gradio": Preset(1.0, 50, RENDER_STEPS),
}


def preset_sampling(preset: str, numbers: dict[str, float]) -> Sampling:
    """How to draw codes by numbers, which are those of the preset.

    A preset is a name for numbers, and never takes their place.

    Args:
        preset: a name of PRESETS, or CUSTOM for any numbers.
        numbers: fields of `Sampling`.

    Raises:
        SettingError: nothing can be drawn with the numbers, the preset stands for others, or is none.
    """
    sampling = Sampling(**numbers)  # type: ignore[arg-type]
    if preset == CUSTOM:
        return sampling
    known = PRESETS.get(preset) if isinstance(preset, str) else None
    if known is None:
        what = preset[:40] if isinstance(preset, str) else described(preset)
        raise SettingError(f"The preset is {what}; choose {', '.join(PRESETS)} or {CUSTOM}.")
    chosen = {name: getattr(sampling, name) for name in known.sampling}
    if chosen != known.sampling:
        raise SettingError(
            f"The preset {preset} stands for {_listed(known.sampling)}, and the numbers are "
            f"{_listed(chosen)}; set its numbers, or the preset to {CUSTOM}."
        )
    return sampling


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:g}" for name, number in numbers.items())


TRACKS = ("mix", "vocals", "accompaniment")


@dataclass(frozen=True)
class RenderSettings:
    """How Render makes latents of codes; the defaults are the released ones.

    Raises:
        SettingError: nothing can be made with these numbers.
    """

    track: str = TRACKS[0]
    steps: int = RENDER_STEPS
    guidance: float = RENDER_GUIDANCE

    def __post_init__(self) -> None:
        require_number("number of steps", self.steps, 1, 10_000, whole=True)
        require_number("guidance", self.guidance, -MOST_GUIDANCE, MOST_GUIDANCE)


def _lelm(
    version: str, size: str, max_seconds: float, rope_theta: float, short_text: bool = False
) -> LelmConfig:
    width, inner, heads, layers = {"medium": (1536, 8960, 12, 28), "large": (2048, 11008, 16, 36)}[size]
    lyric, style = (300, 50) if short_text else (600, 100)
    return LelmConfig(version, width, inner, heads, layers, 12, lyric, style, max_seconds, rope_theta)


RELEASED_CONFIGS = {
    "base": _lelm("v1", "medium", 150, 100_000, short_text=True),
    "base-new": _lelm("v1", "medium", 150, 100_000, short_text=True),
    "base-full": _lelm("v1", "medium", 270, 500_000),
    "large": _lelm("v1", "large", 270, 500_000),
    "v2-medium": _lelm("v2", "medium", 270, 500_000),
    "v2-large": _lelm("v2", "large", 270, 500_000),
}
# Releases that have the sizes of others; the version is told by their tables.
ALIKE = {"v1.5-beta": ("large", "v2-large")}
