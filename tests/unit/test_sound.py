"""What stands on an AUDIO socket: every sound is taken as it is, and the rest is one sentence."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from support.sentences import assert_one_sentence
from torch import Tensor

from levo.audio.loudness import NOTHING, decibels, integrated_loudness, true_peak_db
from levo.audio.mastering import Finish
from levo.audio.sound import LARGEST, SoundError, is_sound, sound_of
from levo.config import SettingError
from levo.song.stems import residual_db

RATE = 48_000
TONE = 0.3 * torch.sin(torch.arange(4_800) / 7)[None, None]


def audio(waveform: Any = TONE, rate: Any = RATE) -> dict[str, Any]:
    return {"waveform": waveform, "sample_rate": rate}


def with_one(value: float, at: int = 1_000, dtype: torch.dtype = torch.float32) -> Tensor:
    sound = TONE.to(dtype, copy=True)
    sound[0, 0, at] = value
    return sound


class OnCard(Tensor):
    """As other nodes leave it where ComfyUI keeps everything on the card; here there need be none."""

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return self.as_subclass(Tensor)


class Lazy(Mapping):
    """As packs for video have it: nothing is there before it is asked for."""

    def __getitem__(self, key: str) -> Any:
        return audio()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(audio())

    def __len__(self) -> int:
        return 2


TAKEN = {
    "mono": audio(),
    "stereo": audio(TONE.expand(1, 2, -1)),
    "batch": audio(TONE.expand(3, 2, -1)),
    "one sample": audio(TONE[..., :1]),
    "8 kHz": audio(rate=8_000),
    "44,056 Hz": audio(rate=44_056),
    "192 kHz": audio(rate=192_000),
    "rate of numpy": audio(rate=np.int64(RATE)),
    "rate in a tensor": audio(rate=torch.tensor(RATE)),
    "rate as a float that is whole": audio(rate=float(RATE)),
    "float64": audio(TONE.double()),
    "bf16": audio(TONE.bfloat16()),
    "fp16": audio(TONE.half()),
    "with gradients": audio(TONE.clone().requires_grad_()),
    "of 16-bit size": audio(TONE * 32_768),
    "lazy": Lazy(),
    "of a class of its own": UserDict(audio()),
    "with more in it": audio() | {"path": "x.wav"},
    "one sample of many, in stereo": audio(TONE.repeat(1, 2, 1)[..., :1]),
    "left of what is interleaved": audio(TONE.repeat(1, 2, 1).mT.contiguous().mT[:, :1]),
    "every second sample": audio(TONE[..., ::2]),
}


@pytest.mark.parametrize("given", TAKEN.values(), ids=TAKEN.keys())
def test_every_sound_is_taken_as_it_is(given: Mapping[str, Any]):
    sound = sound_of(given, "audio")
    assert type(sound.rate) is int
    assert sound.rate == int(given["sample_rate"])
    assert torch.equal(sound.waveform, given["waveform"])
    assert sound.waveform.dtype == given["waveform"].dtype
    assert not sound.waveform.requires_grad
    assert sound.waveform.is_contiguous()


def test_a_sound_that_lies_on_a_card_comes_to_the_cpu_where_levels_and_fades_are_computed():
    sound = sound_of(audio(TONE.as_subclass(OnCard)), "audio")
    assert type(sound.waveform) is Tensor
    assert torch.equal(sound.waveform, TONE)


REFUSED: dict[str, tuple[Any, str]] = {
    "None": (None, "The audio is missing"),
    "list": ([audio()], "is of type list"),
    "tuple": ((TONE, RATE), "is of type tuple"),
    "text": ("song.wav", "is of type str"),
    "tensor": (TONE, "is of type Tensor"),
    "nothing in it": ({}, "has no waveform"),
    "no rate": ({"waveform": TONE}, "has no sample_rate"),
    "no waveform": ({"sample_rate": RATE}, "has no waveform"),
    "waveform None": (audio(None), "no tensor but nothing"),
    "waveform of numpy": (audio(TONE.numpy()), "ndarray"),
    "waveform list": (audio([[[0.1]]]), "list"),
    "0-D": (audio(torch.tensor(0.1)), "shape []"),
    "1-D": (audio(TONE[0, 0]), "shape [4800]"),
    "2-D": (audio(TONE[0]), "shape [1, 4800]"),
    "4-D": (audio(TONE[None]), "shape [1, 1, 1, 4800]"),
    "no songs": (audio(TONE[:0]), "empty"),
    "no channels": (audio(TONE[:, :0]), "empty"),
    "no samples": (audio(TONE[..., :0]), "empty"),
    "six channels": (audio(TONE.expand(1, 6, -1)), "6 channels"),
    "int16": (audio((TONE * 32_767).short()), "int16"),
    "uint8": (audio((TONE * 100 + 128).byte()), "uint8"),
    "bool": (audio(TONE > 0), "bool"),
    "complex": (audio(TONE.to(torch.complex64)), "complex64"),
    "float8": (audio(TONE.to(torch.float8_e4m3fn)), "float8"),
    "sparse": (audio(TONE.to_sparse()), "sparse_coo"),
    "on meta": (audio(TONE.to("meta")), "meta"),
    "nested": (audio(torch.nested.nested_tensor([TONE[0]], layout=torch.jagged)), "nested"),
    "NaN": (audio(with_one(nan)), "no numbers"),
    "NaN in bf16": (audio(with_one(nan, dtype=torch.bfloat16)), "no numbers"),
    "NaN at the very end": (audio(with_one(nan, -1)), "the first at 0.100 s"),
    "infinite": (audio(with_one(inf)), "no numbers"),
    "infinite below": (audio(with_one(-inf, 2_400)), "the first at 0.050 s"),
    "too large": (audio(with_one(1e30)), "beyond any sound"),
    "all NaN": (audio(TONE * nan), "the first at 0.000 s"),
}


@pytest.mark.parametrize(("given", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_sound_is_one_sentence(given: Any, why: str):
    with pytest.raises(SoundError) as error:
        sound_of(given, "audio")
    assert_one_sentence(str(error.value))
    assert why in str(error.value)


@pytest.mark.parametrize(
    "rate", [0, 1, 3_999, -44_100, 768_001, 999_999_937, 44_100.5, nan, inf, 1e300, True, None, "48000", 1j,
             [48_000], torch.tensor([48_000]), torch.tensor(nan), Fraction(96_001, 2)],
    ids=repr,
)  # fmt: skip
def test_a_rate_that_no_sound_has_is_one_sentence(rate: Any):
    with pytest.raises(SoundError, match="sample rate") as error:
        sound_of(audio(rate=rate), "vocals")
    assert_one_sentence(str(error.value))
    assert str(error.value).startswith("The vocals ")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_numbers_are_told_from_what_is_none(dtype: torch.dtype):
    assert is_sound(torch.zeros(0, dtype=dtype))
    assert is_sound(torch.tensor([-1.0, 1.0], dtype=dtype))
    for value in (nan, inf, -inf):
        assert not is_sound(torch.tensor([0.0, value, 1.0], dtype=dtype))
    if dtype != torch.float16:
        assert is_sound(torch.tensor([-LARGEST, LARGEST], dtype=dtype))
        assert not is_sound(torch.tensor([2 * LARGEST], dtype=dtype))


MEASURES: dict[str, Callable[[Tensor], float]] = {
    "loudness": lambda sound: integrated_loudness(sound, RATE),
    "true peak": true_peak_db,
    "level": lambda sound: decibels(sound[0, 1_000].abs().item()),
    "residual": lambda sound: residual_db(sound, torch.zeros(1), torch.zeros(1)),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
@pytest.mark.parametrize("value", [nan, inf])
def test_what_is_no_sound_has_no_level(measure: Callable[[Tensor], float], value: float):
    sound = TONE[0].repeat(1, 10)
    assert measure(sound) > NOTHING
    assert measure(sound * 0) == NOTHING
    sound[0, 1_000] = value
    with pytest.raises(SoundError, match="has no level") as error:
        measure(sound)
    assert_one_sentence(str(error.value))


def test_a_sound_too_short_to_be_measured_has_no_level_either_where_it_is_none():
    with pytest.raises(SoundError, match="has no level"):
        integrated_loudness(with_one(nan)[0, :, 900:1_100], RATE)


@pytest.mark.parametrize("name", ["silence", "fade", "loudness", "ceiling"])
@pytest.mark.parametrize("value", [nan, inf, -inf, 1e30, "1", True, [1.0]], ids=repr)
def test_a_finish_that_cannot_be_is_one_sentence(name: str, value: Any):
    with pytest.raises(SettingError) as error:
        Finish(**{name: value})
    assert_one_sentence(str(error.value))


def test_rows_of_a_batch_are_sounds_of_their_own_in_its_order():
    waveform = torch.stack([TONE[0] * level for level in (0.2, 0.5, 1.0)])
    songs = sound_of(audio(waveform, 44_100), "audio").rows()
    assert [(song.waveform.shape, song.rate) for song in songs] == [((1, 1, 4_800), 44_100)] * 3
    assert torch.equal(torch.cat([song.waveform for song in songs]), waveform)
