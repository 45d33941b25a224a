"""How many bytes models and their runs need, by the sizes of models; what fits a card; when RAM ran out."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from .config import (
    CODES,
    ENCODED_FRAMES,
    FRAME_RATE,
    SAMPLES_PER_FRAME,
    LelmConfig,
    RendererConfig,
    SeparatorConfig,
    StyleEncoderConfig,
    VaeConfig,
)
from .layers import fp8, int4, int8, quantised
from .lelm.delay import steps_for
from .lelm.kv_cache import capacity_for
from .lelm.model import LeLM
from .renderer.model import Renderer
from .style_encoder.musicfm import EDGE
from .vae.oobleck import Vae

MARGIN = 1.1  # for what kernels take on a card and no formula knows
SHORT = 150.0  # seconds of a song that most want
FITS, STREAMS, TOO_BIG = "fits", "streams", "does not fit"
# Number formats by name: of what is not stored smaller, and of activations.
NUMBERS = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float16,
    "int4": torch.float16,
    "fp8_e4m3fn": torch.float16,
}

# What torch, oneDNN, the C++ library and the system say where RAM runs out; for cards torch has an error of
# its own.
RAM_RAN_OUT = re.compile(
    r"alloc_cpu\.cpp|DefaultCPUAllocator|not enough memory|could not create a (primitive|memory)"
    r"|std::bad_alloc|bad allocation|cannot allocate memory|unable to allocate .*memory",
    re.IGNORECASE,
)
REQUESTED = re.compile(r"allocate (\d+) bytes")
# What MKL says of a Fourier transform where memory is short; and, in a broken installation, of every one.
TRANSFORM_FAILED = re.compile(r"MKL FFT error|DFTI ERROR", re.IGNORECASE)


PACKED = ("fp16", "int8", "int4")  # whose matrices a CPU packs; the rest of the model is fp32 then


def compose_bytes(
    config: LelmConfig,
    frames: int,
    item: int,
    takes: int = 1,
    kept: int = 0,
    small_cache: bool = False,
    songs: int = 1,
) -> int:
    """Keys and values of both stages, and the widest activations beside them.

    One take is prefilled into the cache that it goes on with. For more, and for a cache of bytes, a cache
    of the known positions is filled once and copied, when the activations of the prefill are gone. Songs
    are prefilled one after the other, all but the first beside the cache of all.

    Args:
        config: of LeLM.
        frames: the limit of a take, the longest one.
        item: bytes of one number.
        takes: composed at once, of all songs together; the prefill is that of a song's takes together.
        kept: frames of a song to go on from, which the prefill runs too.
        small_cache: keys and values are kept as bytes.
        songs: composed in one batch.
    """
    rows = 2  # with guidance
    capacity = capacity_for(config.prefix_length + steps_for(frames, config.delays))
    known = config.prefix_length + 1 + kept
    numbers = 2 * (config.layers + config.layers_sub) * config.width * rows  # keys, values of a position
    each = numbers * item
    kept_each = numbers + numbers // config.head_width * 4 if small_cache else each  # bytes and scales
    # At the widest point a block of stage 2 holds gate and up side by side, the gate's curve and what comes
    # of them; around it live the prefix of both stages, both streams and stage 1's result.
    prefill = (7 * config.width + 3 * config.inner) * known * rows * item
    tables = 2 * 2 * config.head_width * capacity * item  # rotary, of both stages
    # Logits, the same in float32 with and without guidance, and the keys that sort them.
    sampling = 3 * CODES * rows * takes * (item + 5 * 4 + 8)
    growing, fixed = each * known, kept_each * capacity * takes + tables
    if songs > 1:
        return fixed + max(growing + prefill, sampling)
    return (
        fixed + max(prefill, sampling)
        if takes == 1 and not small_cache
        else max(growing + prefill, fixed + growing, fixed + sampling)
    )


def render_bytes(config: RendererConfig, item: int, rows: int = 2, cuda: bool = False) -> int:
    """Activations of one window, by the wider half of a block, and what all its blocks share.

    Args:
        config: of the renderer.
        item: bytes of one number of the matrices; the rest is float32.
        rows: of all songs made side by side; 2 a song with guidance.
        cuda: whether it runs there. In float32 torch then writes the scores of attention out, before and
            after softmax, as heads 110 wide fit none of its kernels.
    """
    # Both halves hold the given input, the stream that blocks add to, and the modulated stream: 12 bytes a
    # number, and its copy where matrices are smaller.
    held = 12 + (item if item < 4 else 0)
    # Query, key and value, and while the first two are turned: both in float32, half of that for products,
    # the result. In float32 they are turned in place: what is attended to takes that room, in two orders.
    attention = held + 3 * item + (3 * item if item == 4 else 2 * 4 + 4 + 2 * item)
    mlp = held + item  # and the inner layer, before and after its curve
    codes = 2 * config.condition * item // 2  # of every other row: the null row has none
    block = max(config.width * attention, config.width * mlp + 2 * config.inner * item)
    positions = config.width * 4
    written = 2 * config.heads * config.window * rows * 4 if cuda and item == 4 else 0
    return config.window * (rows * (block + codes) + positions + written)


def decode_bytes(config: VaeConfig, item: int, frames: int | None = None, cuda: bool = False) -> int:
    """Activations of one chunk at the waveform's end of the decoder, where they are largest.

    Args:
        config: of the VAE.
        item: bytes of one number.
        frames: of the chunk; None for the released number.
        cuda: whether it runs there.
    """
    last = config.widths[0] * config.ratio  # three of these in a residual unit
    before = config.widths[1] * config.ratio // config.strides[0]  # what the last block was given
    reordered = 0  # by cuDNN: what it is given, and in half precision what it gives, in an order of its own
    if cuda:
        reordered = last if item == 4 else 2 * last
    frames = frames or config.chunk
    # On a CPU the first block orders its weights anew; with short chunks that is more.
    weights = 2 * config.strides[-1] * config.widths[-1] * config.widths[-2]
    return item * max(frames * (3 * last + before + reordered), weights)


def chunk_frames(each: int, most: int, free: int, least: int) -> int:
    """How many frames to decode at once: as many as fit, for a long chunk repeats less of its neighbours.

    Args:
        each: bytes that `most` frames take.
        most: frames that are ever decoded together.
        free: bytes to spare beside the weights.
        least: frames that go forward.
    """
    return max(least, min(most, free * most // each))


def encode_bytes(config: StyleEncoderConfig, samples: int) -> int:
    """Activations of the style encoder: of its convolutions, its attention or its quantiser.

    Args:
        config: of the style encoder, whose numbers are float32.
        samples: of the clip at 48 kHz. Whole frames of it are convolved once, see `embed_repeating`.
    """
    frames = ENCODED_FRAMES if samples % SAMPLES_PER_FRAME else samples // SAMPLES_PER_FRAME + 2 * EDGE
    image = config.mels // 2 * (frames * 2)  # half of the pitches, at 50 Hz
    scores = config.heads * ENCODED_FRAMES**2
    return 4 * max(
        4 * config.channels * image,
        2 * scores + 8 * ENCODED_FRAMES * config.inner,
        ENCODED_FRAMES * CODES + 2 * CODES * config.code_width,
    )


def separate_bytes(config: SeparatorConfig) -> int:
    """Activations of one window of HTDemucs, as measured, and attention that no kernel makes in pieces.

    Args:
        config: of HTDemucs.
    """
    positions, heads = 8 * config.window // 1_024, 8  # of the transformer over the spectrogram
    return config.window * (800 + 8 * config.channels) + heads * positions**2 * 4


@dataclass(frozen=True)
class Room:
    """The memory of a device that computes.

    `kept` bytes are left free beside what a run asks for, and `least` in all, as ComfyUI does. `packed` is
    a CPU's way with formats of PACKED.
    """

    total: int
    kept: int = 0
    least: int = 0
    kind: str = "cuda"
    packed: bool = False


@dataclass(frozen=True)
class Fit:
    """How a model fits a device in a number format: bytes, and a verdict for each length of a song."""

    name: str
    number: str
    weights: int
    run_sizes: Mapping[float, int]  # by seconds: bytes of a run
    verdicts: Mapping[float, str]  # by seconds: FITS, STREAMS or TOO_BIG

    @property
    def longest(self) -> float:
        """Seconds of the longest song."""
        return max(self.run_sizes)


def weight_bytes(config: LelmConfig | RendererConfig | VaeConfig, number: str, packed: bool = False) -> int:
    """Bytes of a model's weights in a number format of NUMBERS; see `Room` for `packed`."""
    return _weight_bytes(config, number, packed and number in PACKED)


@lru_cache(64)
def _weight_bytes(config: LelmConfig | RendererConfig | VaeConfig, number: str, packed: bool) -> int:
    small = {
        "int8": quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding),
        "int4": quantised.operations(nn, int4.Int4Linear, int8.Int8Embedding),
        "fp8_e4m3fn": fp8.operations(nn, biased=False),
    }
    operations: Any = small.get(number, nn)
    place: dict[str, Any] = {"device": "meta", "dtype": torch.float32 if packed else NUMBERS[number]}
    model: nn.Module
    if isinstance(config, LelmConfig):
        model = LeLM(config, operations, **place)
    elif isinstance(config, RendererConfig):
        model = Renderer(config, operations, **place)
    else:
        model = Vae(config, operations, **place)
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    if packed:
        size -= 2 * sum(layer.weight.numel() for layer in model.modules() if type(layer) is nn.Linear)
    return size


def run_bytes(
    config: LelmConfig | RendererConfig | VaeConfig, number: str, seconds: float, room: Room, takes: int = 1
) -> int:
    """Bytes that a run of a model takes beside the weights.

    Args:
        config: of LeLM, the renderer or the VAE.
        number: format of the weights.
        seconds: of the song; counts for LeLM alone, as the others work window by window.
        room: the device.
        takes: made at once.
    """
    item = 4 if room.packed and number in PACKED else NUMBERS[number].itemsize
    cuda = room.kind == "cuda"
    if isinstance(config, LelmConfig):
        return compose_bytes(config, max(1, round(seconds * FRAME_RATE)), item, takes)
    if isinstance(config, RendererConfig):
        return render_bytes(config, item, 2 * takes, cuda)
    return takes * decode_bytes(config, item, cuda=cuda)


def verdict(weights: int, run_size: int, room: Room) -> str:
    """Whether all weights fit beside a run; if not, whether they can be streamed. A CPU streams nothing."""
    free = max(round(run_size * MARGIN) + room.kept, room.least)
    if weights + free <= room.total:
        return FITS
    return STREAMS if free < room.total and room.kind != "cpu" else TOO_BIG


def what_fits(
    models: Mapping[str, LelmConfig | RendererConfig | VaeConfig],
    numbers: Iterable[str],
    room: Room,
    takes: int = 1,
) -> list[Fit]:
    """How models fit a device, for a song of SHORT seconds and for the longest that they make.

    Args:
        models: configs by name.
        numbers: formats that they may be loaded in, of NUMBERS.
        room: the device.
        takes: made at once.
    """
    fits, numbers = [], tuple(numbers)
    for name, config in models.items():
        longest = config.max_seconds if isinstance(config, LelmConfig) else SHORT
        for number in numbers:
            weights = weight_bytes(config, number, room.packed)
            lengths = sorted({min(SHORT, longest), longest})
            run_sizes = {length: run_bytes(config, number, length, room, takes) for length in lengths}
            verdicts = {length: verdict(weights, size, room) for length, size in run_sizes.items()}
            fits.append(Fit(name, number, weights, run_sizes, verdicts))
    return fits


def best_of(fits: Iterable[Fit]) -> Fit | None:
    """The first that fits with its longest song, else the first that fits with a short one, else the
    smallest that can be streamed; None where nothing can run.

    Args:
        fits: the preferred ones first.
    """
    fits = list(fits)
    for length in (max, min):
        if whole := [fit for fit in fits if fit.verdicts[length(fit.verdicts)] == FITS]:
            return whole[0]
    streamed = [fit for fit in fits if STREAMS in fit.verdicts.values()]
    return min(streamed, key=lambda fit: fit.weights, default=None)


def ran_out_of_ram(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that there is no RAM left."""
    if isinstance(error, torch.cuda.OutOfMemoryError):  # of a card: ComfyUI's to tell
        return False
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if isinstance(error, RuntimeError) and RAM_RAN_OUT.search(str(error)):
        return True
    if isinstance(error, RuntimeError) and TRANSFORM_FAILED.search(str(error)) and _can_transform():
        return True
    return error.__cause__ is not None and ran_out_of_ram(error.__cause__)


def _can_transform() -> bool:
    """Whether a Fourier transform of little succeeds, so that a larger one failed for its size."""
    try:
        torch.fft.rfft(torch.zeros(2, 64))
    except RuntimeError:
        return False
    return True


def requested_bytes(error: BaseException) -> int | None:
    """How much memory was asked for in vain, where the error or one that it was raised from says so."""
    match = REQUESTED.search(str(error))
    if match:
        return int(match[1])
    return None if error.__cause__ is None else requested_bytes(error.__cause__)
