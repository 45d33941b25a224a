"""What a run of the command is asked for, as plain data that travels to other machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from .. import demo
from ..config import RENDER_GUIDANCE, RENDER_STEPS, RenderSettings, Sampling, require_number
from ..kinds import Kind
from ..layers.choices import AUTO
from ..song.stems import SUM
from ..song.tokens import seeds_from

MOST_SECONDS = 36_000  # that anybody asks for
MOST_AT_ONCE = 1_000
AS_WEIGHTS = "as-weights"  # in what keys and values are kept
MIXED, VOCAL, BGM, SEPARATE = "mixed", "vocal", "bgm", "separate"
TRACK = {MIXED: "mix", VOCAL: "vocals", BGM: "accompaniment", SEPARATE: "mix"}  # that a kind is heard by
FLAC, FLAC24, WAV, WAV24 = "flac", "flac24", "wav", "wav24"
SUFFIX = {FLAC: ".flac", FLAC24: ".flac", WAV: ".wav", WAV24: ".wav"}
BITS = {FLAC: 16, FLAC24: 24, WAV: 16, WAV24: 24}


@dataclass(frozen=True)
class Files:
    """Weights, each None for the built-in model with random ones, and the vocabulary."""

    lelm: Path | None = None
    renderer: Path | None = None
    vae: Path | None = None
    style_encoder: Path | None = None  # of the mix
    track_encoder: Path | None = None  # of vocals and accompaniment
    separator: Path | None = None
    vocabulary: Path | None = None  # folder; None for one of bytes

    @property
    def are_built_in(self) -> bool:
        """Whether songs are made by built-in models alone."""
        chosen = ((Kind.LELM, self.lelm), (Kind.RENDERER, self.renderer), (Kind.VAE, self.vae))
        return all(path in (None, demo.path(kind)) for kind, path in chosen)


@dataclass(frozen=True)
class Engine:
    """Which models a process loads, and how they compute."""

    files: Files = Files()
    device: str = AUTO
    dtype: str = AUTO  # of LeLM
    renderer_dtype: str = AUTO
    vae_dtype: str = AUTO
    attention: str = AUTO
    small_cache: bool = False
    compiled: bool = False
    low_memory: bool = False  # one model after the other on the device
    encodes_clips: bool = (
        False  # whether styles are made of sound, so that encoders and separator are needed
    )
    threads: int | None = None  # of the CPU; None for torch's own choice


@dataclass(frozen=True)
class SongOptions:
    """How songs are made.

    Raises:
        SettingError: nothing can be made with these numbers.
    """

    kind: str = MIXED
    stems: str = SUM  # how tracks are made where they are asked for; see `levo.song.stems`
    seed: int = 0
    takes: int = 1
    max_seconds: float = 0.0  # 0 for the checkpoint's own limit
    sampling: Sampling = field(default_factory=Sampling)
    steps: int = RENDER_STEPS
    guidance: float = RENDER_GUIDANCE
    prompt_start: float | None = 0.0  # seconds into prompt audio; None for the loudest 10 s
    format: str = FLAC
    batch: int = 1  # songs composed at once

    def __post_init__(self) -> None:
        RenderSettings(steps=self.steps, guidance=self.guidance)  # raises SettingError
        if self.prompt_start is not None:
            require_number("start of the prompt audio", self.prompt_start, 0, MOST_SECONDS)
        require_number("length (--max-seconds)", self.max_seconds, 0, MOST_SECONDS)
        require_number(
            "number of songs composed at once (--batch)", self.batch, 1, MOST_AT_ONCE, whole=True
        )
        seeds_from(self.seed, self.takes)

    @property
    def suffix(self) -> str:
        """Of the files."""
        return SUFFIX[self.format]

    def settings(self) -> dict:
        """What results say of it; LeLM's sampling and the seed stand there by themselves."""
        kept = asdict(self)
        for name in ("sampling", "seed", "takes", "steps", "guidance", "stems"):
            del kept[name]
        if self.batch == 1:
            del kept["batch"]  # which decides nothing then
        kept["render"] = {"seed": self.seed, "steps": self.steps, "guidance": self.guidance}
        return kept if self.kind != SEPARATE else {**kept, "stems_mode": self.stems}
