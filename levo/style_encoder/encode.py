"""Sound to codes: the features of a clip, and the nearest code of a factorised codebook to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..audio.sound import SoundError, is_sound
from ..config import CODES, EMPTY, ENCODED_FRAMES, PROMPT_FRAMES, SAMPLES_PER_FRAME, StyleEncoderConfig
from ..layers.attention import Attention, sdpa
from ..layers.operations import Device, Operations
from ..layers.tables import rows, tile
from ..progress import OnStep, ignore, part_of
from .musicfm import MusicFM

STREAMS = ("mixed", "vocal", "accompaniment")  # rows of a style prompt
PEAK = 0.8  # louder clips are brought down to it
CONTEXT = ENCODED_FRAMES * SAMPLES_PER_FRAME  # samples that the encoder always sees
HALVING_TAPS = 28  # of the filter from 48 to 24 kHz
BEFORE = 13  # samples of them that lie before the moment


class CodebookEncoder(nn.Module):
    """One track's codebook and the projection into it (arXiv:2110.04627)."""

    def __init__(self, config: StyleEncoderConfig, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        self.into = operations.Linear(config.width, config.code_width, **factory_kwargs)
        self.codebook = operations.Embedding(CODES, config.code_width, **factory_kwargs)

    def forward(self, features: Tensor) -> Tensor:
        """[B, T, width] -> codes [B, T]: the rows of the codebook at the smallest angle.

        Raises:
            SoundError: the features, or these weights, are no numbers; any code would be the nearest.
        """
        codebook = F.normalize(rows(self.codebook, features), dim=-1)
        cosines = F.normalize(self.into(features), dim=-1) @ codebook.t()
        if not is_sound(cosines):
            raise SoundError("The style encoder made numbers that are none; download its files again.")
        return cosines.argmax(dim=-1)


class StyleEncoder(nn.Module):
    """MusicFM and the quantisers of the tracks that one released file encodes."""

    def __init__(
        self,
        config: StyleEncoderConfig,
        operations: Operations = nn,
        attention: Attention = sdpa,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        factory_kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        self.config = config
        self.halve = operations.Conv1d(1, 1, HALVING_TAPS, stride=2, bias=False, **factory_kwargs)
        self.musicfm = MusicFM(config, operations, attention, **factory_kwargs)
        self.quantizers = nn.ModuleDict(
            {track: CodebookEncoder(config, operations, **factory_kwargs) for track in config.tracks}
        )

    def features(
        self,
        audio: Tensor,
        track: str,
        on_step: OnStep = ignore,
        period: int | None = None,
    ) -> Tensor:
        """Features of the layer where `track` is read.

        Args:
            audio: mono [B, samples] at 48 kHz.
            track: of the config.
            on_step, period: see `MusicFM`.

        Returns:
            [B, samples // 1920, width].
        """
        padded = F.pad(audio[:, None], (BEFORE, HALVING_TAPS - BEFORE - 1))
        return self.musicfm(self.halve(padded)[:, 0], self.config.depth_of(track), on_step, period)

    def forward(self, clip: Tensor, track: str, on_step: OnStep = ignore) -> Tensor:
        """Mono [B, samples] at 48 kHz -> codes [B, 1000] of `track`, of the clip again and again."""
        samples = clip.shape[1]
        period = None if samples % SAMPLES_PER_FRAME else samples // SAMPLES_PER_FRAME
        return self.quantizers[track](self.features(tile(clip, CONTEXT), track, on_step, period))


def encode_clips(
    encoder: StyleEncoder,
    clips: Mapping[str, Tensor],
    device: torch.device | str = "cpu",
    on_step: OnStep = ignore,
) -> dict[str, Tensor]:
    """Codes of a clip by track.

    A track whose peak is above 0.8 is brought down to that. The encoder always sees 40 s, in which the clip
    stands again and again; the codes of its first pass are kept.

    Args:
        encoder: on `device` (or streaming to it).
        clips: by track of the encoder's config: [1, 2, samples] at 48 kHz, 1 s to 10 s.
        device: where the encoder runs.
        on_step: called with (steps done, in all).

    Returns:
        By track [1, samples // 1920 + 1] int64 on the CPU.
    """
    codes, before = {}, 0
    for track in encoder.config.tracks:
        clip = clips[track]
        peak = clip.abs().max()
        mono = (clip / (peak / PEAK).clamp(min=1)).mean(dim=1)
        step = part_of(on_step, before, encoder.config.steps)
        clip_codes = encoder(mono.to(device), track, step)
        codes[track] = clip_codes[:, : clip.shape[2] // SAMPLES_PER_FRAME + 1].cpu()
        before += encoder.config.depth_of(track) + 1
    return codes


def encode_style(
    encoders: Sequence[tuple[StyleEncoder, Callable[[], torch.device]]],
    clip: Tensor,
    vocals: Tensor,
    accompaniment: Tensor,
    on_step: OnStep = ignore,
) -> Tensor:
    """The style prompt [1, 3, 250] of a clip.

    Args:
        encoders: which have all STREAMS among them, one after the other: each with what brings it to its
            device and gives that. It is called when its encoder is next, as the one before may have to go.
        clip, vocals, accompaniment: [1, 2, samples] at 48 kHz, 1 s to 10 s.
        on_step: called with (steps done, those of all encoders).
    """
    tracks = dict(zip(STREAMS, (clip, vocals, accompaniment), strict=True))
    total = sum(encoder.config.steps for encoder, _ in encoders)
    codes: dict[str, Tensor] = {}
    before = 0
    for encoder, bring in encoders:
        codes |= encode_clips(encoder, tracks, bring(), part_of(on_step, before, total))
        before += encoder.config.steps
    return prompt_codes(codes)


def prompt_codes(codes: Mapping[str, Tensor]) -> Tensor:
    """A style prompt [1, 3, 250] of codes by track, each [1, T].

    Of a clip of 10 s the first 250 codes count. A shorter one has fewer: as in the published code the rest
    of each row is EMPTY, which LeLM embeds like any code.
    """
    prompt = torch.full((1, len(STREAMS), PROMPT_FRAMES), EMPTY)
    for stream, track in enumerate(STREAMS):
        row = codes[track][:, :PROMPT_FRAMES]
        prompt[:, stream, : row.shape[1]] = row
    return prompt
