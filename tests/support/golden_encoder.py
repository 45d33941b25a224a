"""The style encoder beside its golden files; `golden_outputs.py` runs them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import pi

import torch
from torch import Tensor

from levo.config import CODES, MIXED_ENCODER, SAMPLE_RATE, TRACK_ENCODER, StyleEncoderConfig
from levo.files import released
from levo.style_encoder.encode import StyleEncoder, encode_clips
from support.golden_file import GoldenFile, Result, alike, close, same
from support.released import named, released_tensors

TONES = {"vocal": ((220, 1.3), (227, 1.1)), "accompaniment": ((82, 2.0), (110, 0.7))}
LOUDER = 1.8  # times, the accompaniment
FEATURES = {"vocal": ("vocal", 2e-3), "accompaniment": ("bgm", 2e-2)}
DIFFERENT = 0.03  # of the codes: near ties exist


@cache
def constants() -> dict[str, Tensor]:
    """Tensors of a checkpoint that torchaudio makes and training leaves as they are."""
    from torchaudio.functional import melscale_fbanks
    from torchaudio.transforms import Resample

    model = "bestrq.model"
    mel = f"{model}.preprocessor_melspec_2048.mel_stft"
    pairs = torch.arange(0, 64, 2)
    return {
        f"{mel}.spectrogram.window": torch.hann_window(2_048),
        f"{mel}.mel_scale.fb": melscale_fbanks(1_025, 0.0, 12_000.0, 128, 24_000),
        f"{model}.conformer.embed_positions.inv_freq": 1 / 10_000 ** (pairs / 64),
        "rsq48tobestrq.kernel": Resample(SAMPLE_RATE, 24_000).kernel,
    }


def build_style_encoder(config: StyleEncoderConfig, seed: int) -> StyleEncoder:
    """An encoder of released size, filled by name."""
    model, layout = StyleEncoder(config), released.style_encoder_layout(config)
    files = released_tensors(model, layout, lambda name, shape: named(name, shape, seed))
    files |= constants()
    released.load(model, lambda: files, layout)
    return model


def tone(track: str, seconds: int) -> Tensor:
    """[1, 2, samples] at 48 kHz."""
    n = torch.arange(seconds * SAMPLE_RATE, dtype=torch.float64)
    t = n / SAMPLE_RATE
    channels = [
        torch.sin(2 * pi * f * t * (1 + 0.2 * (4 * t).floor())) * (0.3 + 0.25 * torch.sin(2 * pi * a * t))
        for f, a in TONES[track]
    ]
    both = torch.stack(channels).float()[None]
    return both * LOUDER if track == "accompaniment" else both


def run_encoder(file: GoldenFile) -> Iterator[Result]:
    """`encoder.safetensors`."""
    model, golden = build_style_encoder(TRACK_ENCODER, file.seed), file.tensors
    audio = named("audio.x", (1, 48_000), file.seed) * 0.1
    yield close("musicfm.mel", model.musicfm.mel(audio)[..., ::4], golden["musicfm.mel"], 2e-3)
    for depth in (0, 3, 6, 7):
        name = f"musicfm.layer{depth}"
        yield close(name, model.musicfm(audio, depth)[:, ::2], golden[name], 2e-3)
    features = named("quantize.x", (1, 1024, 80), file.seed).transpose(1, 2)
    for track, (name, limit) in FEATURES.items():
        codes = model.quantizers[track](features)[:, None]
        yield same(f"quantize.{name}", codes, golden[f"quantize.{name}"])
        sound = tone(track, 4)
        sound /= (sound.abs().amax(dim=2, keepdim=True) / 0.9).clamp(min=1)
        heard = model.features(sound.mean(dim=1), track)
        emb = f"tone.{name}.emb"
        yield close(emb, heard.transpose(1, 2)[:, ::4], golden[emb], limit)
        codes = model.quantizers[track](heard)[:, None]
        yield alike(f"tone.{name}.codes", codes, golden[f"tone.{name}.codes"], DIFFERENT)


def run_clip(file: GoldenFile) -> Iterator[Result]:
    """`encoder_clip.safetensors`."""
    clips = {track: tone(track, 10) for track in TONES}
    clips["mixed"] = clips["vocal"] + clips["accompaniment"]
    for config in (TRACK_ENCODER, MIXED_ENCODER):
        codes = encode_clips(build_style_encoder(config, file.seed), clips)
        for track, row in codes.items():
            name = f"clip.{FEATURES.get(track, (track,))[0]}.codes"
            assert row.min() >= 0 and row.max() < CODES
            yield alike(name, row[:, None], file.tensors[name], DIFFERENT)
