"""How loud a sound is and how high it peaks, by ITU-R BS.1770.

Integrated loudness: Annex 1 of BS.1770-4, of one or two channels. The standard gives its filters at 48 kHz;
here they are computed for any rate from the analogue ones behind them, see B. De Man, "Evaluation of
implementations of the EBU R128 loudness measurement", AES 145. True peak: Annex 2, by four times
oversampling. What is no sound has no level: every measurement raises `SoundError`.
"""

from __future__ import annotations

from math import ceil, isfinite, log10, pi, tan

import torch
from torch import Tensor

from .sound import SoundError, is_sound

NOTHING = -200.0  # dB; stands for silence, below what any number format of sound holds
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
OFFSET = -0.691  # LUFS
STEPS_A_SECOND, STEPS_A_BLOCK = 10, 4  # blocks of 0.4 s that overlap by three quarters
STEPS_AT_ONCE = 200  # 20 s
FFT_MULTIPLE = 1 << 14
PEAKS_AT_ONCE = 1 << 16  # samples; what fits a processor's cache is several times as fast

SHELF = {"frequency": 1681.974450955533, "q": 0.7071752369554196, "gain": 3.999843853973347}
SHELF_MIDDLE = 0.4996667741545416  # exponent of the gain in the middle of the shelf
HIGH_PASS = {"frequency": 38.13547087602444, "q": 0.5003270373238773}

# Annex 2: what lies at four moments between the sixth and the seventh of twelve samples.
_FIRST = (0.001708984375, 0.010986328125, -0.0196533203125, 0.033203125, -0.0594482421875, 0.1373291015625,
          0.972167968750, -0.102294921875, 0.047607421875, -0.026611328125, 0.014892578125,
          -0.00830078125)  # fmt: skip
_SECOND = (-0.0291748046875, 0.029296875, -0.0517578125, 0.089111328125, -0.16650390625, 0.465087890625,
           0.77978515625, -0.2003173828125, 0.1015625, -0.0582275390625, 0.0330810546875,
           -0.0189208984375)  # fmt: skip
PHASES = (_FIRST, _SECOND, _SECOND[::-1], _FIRST[::-1])

Filter = tuple[tuple[float, float, float], tuple[float, float, float]]  # numerator, denominator


def k_weighting(rate: int) -> tuple[Filter, Filter]:
    """The two filters that stand for head and ear at a sample rate: high shelf, high pass."""
    k, q = tan(pi * SHELF["frequency"] / rate), SHELF["q"]
    high = 10 ** (SHELF["gain"] / 20)
    middle = high**SHELF_MIDDLE
    shelf = (high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k)
    scale, poles = _poles(k, q)
    first, second, third = (b / scale for b in shelf)
    k, q = tan(pi * HIGH_PASS["frequency"] / rate), HIGH_PASS["q"]
    # The high pass of the standard has not quite the gain 1.
    return ((first, second, third), poles), ((1.0, -2.0, 1.0), _poles(k, q)[1])


def integrated_loudness(audio: Tensor, rate: int) -> float:
    """Loudness of a whole sound in LUFS.

    Args:
        audio: [channels, samples], mono or stereo.
        rate: samples a second.

    Returns:
        NOTHING where no block of 0.4 s is above the absolute gate of -70 LUFS, or there is none.

    Raises:
        SoundError: some samples are no numbers.
    """
    if not is_sound(audio):
        raise _no_level()
    step = round(rate / STEPS_A_SECOND)
    energy = _step_energy(audio, rate, step)
    if len(energy) < STEPS_A_BLOCK:
        return NOTHING
    power = energy.unfold(0, STEPS_A_BLOCK, 1).sum(-1) / (STEPS_A_BLOCK * step)
    level = OFFSET + 10 * torch.log10(power)
    audible = power[level > ABSOLUTE_GATE]
    if not len(audible):
        return NOTHING
    gate = OFFSET + 10 * torch.log10(audible.mean()) + RELATIVE_GATE
    kept = power[(level > ABSOLUTE_GATE) & (level > gate)]
    return OFFSET + 10 * torch.log10(kept.mean()).item()


def peaks(audio: Tensor) -> Tensor:
    """The highest true peak of all channels near each sample.

    Args:
        audio: [channels, samples].

    Returns:
        [samples] float32, 0 or more.
    """
    highest = audio.float().abs().amax(0)
    rows = torch.nn.functional.pad(audio.float()[:, None], (6, 5))
    taps = rows.new_tensor([phase[::-1] for phase in PHASES])[:, None]
    for part in range(0, len(highest), PEAKS_AT_ONCE):
        near = rows[..., part : part + PEAKS_AT_ONCE + taps.shape[-1] - 1]
        between = torch.nn.functional.conv1d(near, taps).abs_().amax((0, 1))
        highest[part : part + PEAKS_AT_ONCE].clamp_min_(between)
    return highest


def true_peak_db(audio: Tensor) -> float:
    """The highest true peak of [channels, samples] in dBTP, at least NOTHING; raises SoundError."""
    return decibels(peaks(audio).amax().item()) if audio.shape[-1] else NOTHING


def decibels(amplitude: float) -> float:
    """Level of an amplitude, at least NOTHING; raises SoundError: it is no number."""
    if not isfinite(amplitude):
        raise _no_level()
    return max(NOTHING, 20 * log10(amplitude)) if amplitude > 0 else NOTHING


def power_decibels(power: float) -> float:
    """Level of a mean square, at least NOTHING; raises SoundError: it is no number."""
    if not isfinite(power):
        raise _no_level()
    return max(NOTHING, 10 * log10(power)) if power > 0 else NOTHING


def _no_level() -> SoundError:
    return SoundError("The sound has no level, because some of its samples are no numbers; make it again.")


def _poles(k: float, q: float) -> tuple[float, tuple[float, float, float]]:
    """Denominator of a second-order filter, and what it was divided by to begin with 1."""
    scale = 1 + k / q + k * k
    return scale, (1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale)


def _step_energy(audio: Tensor, rate: int, step: int) -> Tensor:
    """Sum of squares after K-weighting of each whole step, all channels together: [steps] float64.

    Filtered by FFT, some seconds at a time, each with the second before it, in which the filters forget all
    that came earlier. A second behind it takes what wraps around.
    """
    span = STEPS_AT_ONCE * step
    length = ceil((span + 2 * rate) / FFT_MULTIPLE) * FFT_MULTIPLE
    response = _response(rate, length)
    sums = []
    for start in range(0, audio.shape[-1] - step + 1, span):
        before = min(start, rate)
        piece = audio[:, start - before : start + span].double()
        weighted = torch.fft.irfft(torch.fft.rfft(piece, length) * response, length)
        whole = (piece.shape[-1] - before) // step
        weighted = weighted[:, before : before + whole * step]
        sums.append(weighted.square().unflatten(-1, (whole, step)).sum((0, 2)))
    return torch.cat(sums) if sums else torch.zeros(0, dtype=torch.float64)


def _response(rate: int, length: int) -> Tensor:
    """What K-weighting does to each frequency of an FFT of so many samples: [length // 2 + 1] complex."""
    turn = torch.arange(length // 2 + 1, dtype=torch.float64) * (-2 * pi / length)
    delay = torch.polar(torch.ones_like(turn), turn)
    response = torch.ones_like(delay)
    for (b0, b1, b2), (a0, a1, a2) in k_weighting(rate):
        response *= (b0 + delay * (b1 + delay * b2)) / (a0 + delay * (a1 + delay * a2))
    return response
