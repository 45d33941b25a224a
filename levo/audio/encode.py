"""Sound becomes the bytes of a sound file: FLAC, WAV, MP3 or Opus, with what it says of its song.

Needs `av` (PyAV), which ComfyUI ships: imported when something is encoded. Knows nothing of disks.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from .file_tags import BLOCK_BYTES, FileTags, block_bytes, comments, id3, with_chunk, with_picture

CHUNK = 1 << 16  # samples that are given to an encoder at once
LEAST_SECONDS = 0.1  # of what MP3 and Opus can hold: less is lost in their first frame
OPUS_RATE = 48_000
FLAC = ".flac"
MOST_TEXT = BLOCK_BYTES - 1_000  # bytes of what a FLAC says, beside what libav says of itself
LAYOUTS = {1: "mono", 2: "stereo"}


class EncodeError(ValueError):
    """Why a sound cannot be encoded, in one sentence."""


@dataclass(frozen=True)
class Format:
    """How samples are written."""

    suffix: str  # of files; without its dot also libav's name of the container
    codec: str
    sample: str  # libav's name of what the encoder takes
    bits: int = 0  # of a sample; 0 if there is loss
    bit_rate: int = 0  # bits a second, where it is fixed
    options: tuple[tuple[str, str], ...] = ()  # of the codec
    rates: tuple[int, ...] = ()  # Hz, ascending; none if any will do


MP3 = Format(
    ".mp3",
    "libmp3lame",
    "fltp",
    rates=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
)
OPUS = Format(".opus", "libopus", "flt", rates=(OPUS_RATE,))
V0 = (("flags", "+qscale"), ("global_quality", "0"))
FORMATS = {
    "FLAC 24-bit": Format(FLAC, "flac", "s32", 24),
    "FLAC 16-bit": Format(FLAC, "flac", "s16", 16),
    "WAV 24-bit": Format(".wav", "pcm_s24le", "s32", 24),
    "WAV 16-bit": Format(".wav", "pcm_s16le", "s16", 16),
    "MP3 320 kbps": replace(MP3, bit_rate=320_000),
    "MP3 V0": replace(MP3, options=V0),
    "Opus 192 kbps": replace(OPUS, bit_rate=192_000),
    "Opus 128 kbps": replace(OPUS, bit_rate=128_000),
}


def holds(name: str, tags: FileTags) -> bool:
    """Whether a format, of FORMATS, has room for what a file should say of its song."""
    return FORMATS[name].suffix != FLAC or block_bytes(tags) <= MOST_TEXT


def clipped_samples(waveform: Tensor) -> int:
    """How many samples lie outside of -1 to 1, which `encode` clips."""
    return int((waveform.abs() > 1).sum())


def encode(waveform: Tensor, rate: int, name: str, tags: FileTags | None = None) -> bytes:
    """A sound file.

    Opus is always of 48 kHz; MP3 has the next rate that it knows. 24 bits are rounded; 16 bits are rounded
    with triangular dither of one step to each side, unless all samples are steps already. The same sound
    gives the same samples.

    Args:
        waveform: [1 or 2, samples], not empty, of numbers; clipped to -1 to 1.
        rate: Hz.
        name: of FORMATS.
        tags: of the song.

    Raises:
        EncodeError: the sound is too short for this format, its texts too long, or there is no `av` that
            makes it.
    """
    target, tags = FORMATS[name], tags or FileTags()
    samples, seconds = waveform.detach().float().cpu().clamp(-1, 1), waveform.shape[-1] / rate
    if not target.bits and seconds < LEAST_SECONDS:
        raise EncodeError(f"{name} cannot hold a sound of {seconds:.3f} s; choose FLAC or WAV.")
    if not holds(name, tags):
        raise EncodeError(
            f"{name} holds {MOST_TEXT / 1e6:.1f} MB of texts, and the song's (title, lyrics, workflow and "
            f"so on) take {block_bytes(tags) / 1e6:.1f} MB; leave the workflow out, or choose MP3 or Opus."
        )
    try:
        import av
    except ImportError as error:
        raise EncodeError(
            f"{name} needs av, which ComfyUI ships; install it with pip install av."
        ) from error
    whole = stepped(samples, target.bits) if target.bits else samples
    try:
        return _tagged(_encoded(whole, rate, target, tags), target, tags)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise EncodeError(f"{name} cannot be made by this av ({error}); choose another format.") from error


def stepped(samples: Tensor, bits: int) -> Tensor:
    """Samples from -1 to 1 as whole numbers of 16 bits (int16), or of 24 in the upper bytes of int32."""
    steps = 1 << bits - 1
    exact = samples * steps  # of powers of two
    if bits < 24 and not torch.equal(exact, exact.round()):
        draw = torch.Generator().manual_seed(0)
        first, second = torch.rand(2, *exact.shape, generator=draw)
        exact = exact + first - second
    whole = exact.round().clamp(-steps, steps - 1)
    return whole.to(torch.int16) if bits == 16 else whole.to(torch.int32) << 32 - bits


def _encoded(samples: Tensor, rate: int, target: Format, tags: FileTags) -> bytes:
    """The file without what libav cannot write into it."""
    import av

    file = io.BytesIO()
    container = {"id3v2_version": "0"} if target.suffix == MP3.suffix else {}  # ours has lyrics
    with av.open(file, "w", format=target.suffix[1:], options=container) as output:
        output.metadata.update(comments(tags, pictured=target.suffix == OPUS.suffix))
        _fill(output, samples, rate, target)
    return file.getvalue()


def _fill(output: Any, samples: Tensor, rate: int, target: Format) -> None:
    """Encode samples [channels, samples] into an open container of av."""
    channels, length = samples.shape
    written = next((known for known in target.rates if known >= rate), max(target.rates, default=rate))
    stream = output.add_stream(
        target.codec,
        rate=written,
        layout=LAYOUTS[channels],
        format=target.sample,
        options=dict(target.options),
    )
    if target.bit_rate:
        stream.bit_rate = target.bit_rate
    for start in range(0, length, CHUNK):
        output.mux(stream.encode(_frame(samples[:, start : start + CHUNK], start, rate, target)))
    output.mux(stream.encode(None))


def _frame(samples: Tensor, start: int, rate: int, target: Format) -> Any:
    """Samples [channels, samples] as a frame of av, in which channels take turns."""
    import av

    frame = av.AudioFrame.from_ndarray(
        samples.T.reshape(1, -1).contiguous().numpy(),
        format=target.sample.removesuffix("p"),
        layout=LAYOUTS[len(samples)],
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame


def _tagged(file: bytes, target: Format, tags: FileTags) -> bytes:
    """A file with the tags that libav does not write."""
    if target.suffix == MP3.suffix:
        return id3(tags) + file
    if target.suffix == ".wav":
        return with_chunk(file, tags)
    return with_picture(file, tags.cover) if tags.cover and target.suffix == FLAC else file
