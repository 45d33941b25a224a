"""The ten seconds of a recording that a song shall sound like: chosen, and brought to 48 kHz stereo."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..audio.waveform import resample
from ..config import PROMPT_FRAMES, SAMPLE_RATE, SAMPLES_PER_FRAME, require_number

SECONDS = 10
SAMPLES = PROMPT_FRAMES * SAMPLES_PER_FRAME
MIN_SECONDS = 1
MOST_SECONDS = 1_000_000  # into a recording
SILENCE = 1e-4  # peak: -80 dB
STEPS = 10  # a second, in which the loudest clip is looked for
MARGIN = 0.1  # seconds: what a resampled clip's end hears of the rest, and stems may differ in length


class ClipError(ValueError):
    """Why a recording cannot prompt, in one sentence."""


@dataclass(frozen=True)
class Recording:
    """A sound as ComfyUI hands it over."""

    waveform: Tensor  # [1, 1 or 2, samples] float
    rate: int
    name: str  # for messages

    def __post_init__(self) -> None:
        rows, channels, _ = self.waveform.shape
        if rows != 1:
            raise ClipError(f"The {self.name} is a batch of {rows}; a style is made from one recording.")
        if channels not in (1, 2):
            raise ClipError(f"The {self.name} has {channels} channels; make it mono or stereo first.")

    @property
    def seconds(self) -> float:
        return self.waveform.shape[2] / self.rate

    def clip(self, start: float) -> Tensor:
        """Up to 10 s from `start` seconds on: [1, 2, samples] float32 at 48 kHz on the CPU."""
        first = round(start * self.rate)
        last = first + round((SECONDS + MARGIN) * self.rate)
        piece = self.waveform[:, :, first:last].float().cpu().expand(-1, 2, -1)
        return resample(piece, self.rate, SAMPLE_RATE)[:, :, :SAMPLES]


def loudest(recording: Recording) -> float:
    """Where the 10 s with the most energy start, in seconds; the first of equals."""
    step = recording.rate // STEPS
    count = recording.waveform.shape[2] // step
    window = SECONDS * STEPS
    if count <= window:
        return 0.0
    steps = recording.waveform[0, :, : count * step].unflatten(1, (count, step))
    # A window's steps at a time: as float64 all of a recording would take twice its memory or more.
    energies = [part.double().square().sum(dim=(0, 2)).cpu() for part in steps.split(window, dim=1)]
    total = torch.cat((torch.zeros(1, dtype=torch.float64), *energies)).cumsum(dim=0)
    return int((total[window:] - total[:-window]).argmax()) * step / recording.rate


def choose(recording: Recording, start: float | None) -> tuple[float, Tensor]:
    """Cut a clip out of a recording.

    Args:
        recording: of any length.
        start: seconds; None for the loudest part.

    Returns:
        Where the clip starts, in seconds, and the clip [1, 2, samples] at 48 kHz; see `Recording.clip`.

    Raises:
        ClipError: fewer than 1 s are left after `start`, or they are silent.
        SettingError: `start` is no time.
    """
    start = loudest(recording) if start is None else start
    require_number("start", start, 0, MOST_SECONDS)
    seconds_left = recording.seconds - start
    if seconds_left < MIN_SECONDS:
        raise ClipError(
            f"The {recording.name} lasts {recording.seconds:.1f} s, which leaves less than "
            f"{MIN_SECONDS} s from {start:g} s on; a style needs {MIN_SECONDS} to {SECONDS} s."
        )
    clip = recording.clip(start)
    if clip.abs().max() < SILENCE:
        end = start + clip.shape[2] / SAMPLE_RATE
        raise ClipError(
            f"The {recording.name} is silent from {start:g} s to {end:g} s; choose another start."
        )
    return start, clip


def stem(recording: Recording, start: float, of: Recording) -> Tensor:
    """The part of a stem that belongs to a clip of the whole; see `Recording.clip`.

    Raises:
        ClipError: the stem is not as long as the whole.
    """
    if abs(recording.seconds - of.seconds) > MARGIN:
        raise ClipError(
            f"The {of.name} has {of.seconds:.1f} s and its {recording.name} {recording.seconds:.1f} s; "
            f"connect the {recording.name} of this very recording."
        )
    return recording.clip(start)


def both_stems(clip: Tensor, vocals: Tensor | None, accompaniment: Tensor | None) -> tuple[Tensor, Tensor]:
    """Vocals and accompaniment of a clip, all [1, 2, samples]; the one that is missing is the rest.

    Stems that are a few samples short are padded with silence.
    """
    length = clip.shape[2]
    vocals, accompaniment = (
        None if part is None else torch.nn.functional.pad(part, (0, length - part.shape[2]))
        for part in (vocals, accompaniment)
    )
    if vocals is None:
        if accompaniment is None:
            raise ValueError("A clip's stems cannot be told from the clip alone.")
        vocals = clip - accompaniment
    return vocals, clip - vocals if accompaniment is None else accompaniment
