"""LATENT: what decoding needs comes through core's Save and Load Latent; what is none is one sentence."""

from __future__ import annotations

import pickle
from copy import deepcopy
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from support.sentences import assert_one_sentence
from support.small_models import random

from levo.song.latent_socket import MARK, UNIT, latent_of, track_of
from levo.song.latents import TAIL, SongLatents, StemDifference, Track

CHANNELS = 64


def song(frames: int = 30, tail: int = 9, songs: int = 1, seed: int = 1) -> SongLatents:
    samples = random(songs, CHANNELS, frames + tail, seed=seed)
    return SongLatents(samples[..., :frames], samples[..., frames:], 250, 1_000, 250)


def through_core(latent: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What core's Load Latent gives of what core's Save Latent wrote, in ComfyUI 0.3.75 and 0.33."""
    tensors = {
        "latent_tensor": latent["samples"].contiguous(),
        "latent_format_version_0": torch.tensor([]),
    }
    safetensors.torch.save_file(tensors, folder / "x.latent")
    return {"samples": safetensors.torch.load_file(folder / "x.latent")["latent_tensor"].float() * 1.0}


def same(a: Track, b: Track) -> bool:
    if isinstance(a, StemDifference) or isinstance(b, StemDifference):
        return type(a) is type(b) and same(a.mix, b.mix) and same(a.vocals, b.vocals)
    told = [(x.prompt_frames, x.window, x.overlap, x.whole) for x in (a, b)]
    return told[0] == told[1] and torch.equal(a.samples, b.samples) and torch.equal(a.tail, b.tail)


@pytest.mark.parametrize("tail", [0, 1, TAIL])
@pytest.mark.parametrize("songs", [1, 3])
@pytest.mark.parametrize("frames", [1, 10, 1_125])
def test_saved_and_loaded_by_core_latents_are_all_that_they_were(
    tmp_path: Path, tail: int, songs: int, frames: int
):
    made = song(frames, tail, songs)
    loaded = track_of(through_core(latent_of(made), tmp_path), CHANNELS, "LeVo Decode")
    assert loaded.whole
    assert same(loaded, made)


def test_a_difference_of_stems_comes_through_too(tmp_path: Path):
    made = StemDifference(song(seed=1), song(seed=2))
    assert same(track_of(through_core(latent_of(made), tmp_path), CHANNELS, "LeVo Decode Stems"), made)


def test_it_can_be_saved_and_loaded_again_and_again(tmp_path: Path):
    made = song()
    loaded = through_core(through_core(latent_of(made), tmp_path), tmp_path)
    assert same(track_of(loaded, CHANNELS, "LeVo Decode"), made)


def test_to_other_nodes_the_samples_are_a_plain_tensor_of_the_song():
    made = song(songs=2)
    samples = latent_of(made)["samples"]
    assert samples.shape == made.samples.shape
    assert torch.equal(samples, made.samples)
    for computed in (samples * 2, samples[:1], torch.cat((samples, samples)), samples.clone()):
        assert type(computed) is torch.Tensor
        assert computed.contiguous().shape == computed.shape


def test_a_copy_is_saved_whole_as_well(tmp_path: Path):
    made = song()
    for copied in (deepcopy(latent_of(made)), pickle.loads(pickle.dumps(latent_of(made)))):
        assert same(track_of(through_core(copied, tmp_path), CHANNELS, "LeVo Decode"), made)
    changed = deepcopy(latent_of(made))
    changed["samples"].mul_(2)
    assert torch.equal(through_core(changed, tmp_path)["samples"][..., :30], made.samples * 2)


def test_latents_that_were_cut_after_loading_keep_only_what_is_theirs(tmp_path: Path):
    made = song()
    loaded = through_core(latent_of(made), tmp_path)["samples"]
    cut = {
        "the beginning": (loaded[..., 5:], made.samples[..., 5:]),
        "the end": (loaded[..., :-3], made.samples),
        "behind the song": (loaded[..., :31], made.samples),
        "in the song": (loaded[..., :20], made.samples[..., :20]),
        "twice": (torch.cat((loaded, loaded), 2), made.samples.repeat(1, 1, 2)),
    }
    for samples, left in cut.values():
        track = track_of({"samples": samples}, CHANNELS, "LeVo Decode")
        assert torch.equal(track.samples, left)
        assert not track.whole
        assert track.tail.shape[2] == 0


@pytest.mark.parametrize("told", [(2, 30, 9), (1, 31, 9), (1, 30, 8), (1, 30, 17), (1, 30, -1)])
def test_marks_that_do_not_fit_are_not_believed(told: tuple[int, int, int]):
    latent = latent_of(song())["samples"].contiguous()
    latent[:, len(MARK) : len(MARK) + 3, 30] = torch.tensor(told) / UNIT
    assert not track_of({"samples": latent}, CHANNELS, "LeVo Decode").whole


@pytest.mark.parametrize("window", [(0, 0), (250, 250), (1_000, 0), (1_000, -1)])
def test_windows_that_cannot_be_are_not_believed(window: tuple[int, int]):
    latent = latent_of(song())["samples"].contiguous()
    latent[:, len(MARK) + 4 : len(MARK) + 6, 30] = torch.tensor(window) / UNIT
    assert not track_of({"samples": latent}, CHANNELS, "LeVo Decode").whole


SAMPLES = random(1, CHANNELS, 30)
TAKEN = {
    "fp32": SAMPLES,
    "fp64": SAMPLES.double(),
    "fp16": SAMPLES.half(),
    "bf16": SAMPLES.bfloat16(),
    "with gradients": SAMPLES.clone().requires_grad_(),
    "a view": SAMPLES[..., 3:],
    "several": SAMPLES.expand(3, -1, -1),
}


@pytest.mark.parametrize("samples", TAKEN.values(), ids=TAKEN.keys())
def test_bare_latents_are_taken_as_they_are(samples: torch.Tensor):
    track = track_of({"samples": samples}, CHANNELS, "LeVo Decode")
    assert torch.equal(track.samples, samples.float())
    assert track.samples.dtype == torch.float32
    assert not track.samples.requires_grad
    assert not track.whole


def test_latents_of_a_few_channels_are_saved_bare():
    samples = random(1, 8, 30)
    latent = latent_of(SongLatents(samples, samples[..., :3]))
    assert torch.equal(latent["samples"].contiguous(), samples)
    assert torch.equal(track_of({"samples": samples}, 8, "LeVo Decode").samples, samples)


def with_one(value: float) -> torch.Tensor:
    samples = SAMPLES.clone()
    samples[0, 3, 7] = value
    return samples


REFUSED: dict[str, tuple[Any, str]] = {
    "None": (None, "is nothing"),
    "list": ([{"samples": SAMPLES}], "list"),
    "tensor": (SAMPLES, "Tensor"),
    "text": ("x.latent", "str"),
    "empty": ({}, "of type dict"),
    "samples None": ({"samples": None}, "of type dict"),
    "samples list": ({"samples": SAMPLES.tolist()}, "list"),
    "samples of numpy": ({"samples": SAMPLES.numpy()}, "ndarray"),
    "an image's": ({"samples": torch.zeros(1, 4, 64, 64)}, "shape [1, 4, 64, 64]"),
    "1-D": ({"samples": SAMPLES[0, 0]}, "shape [30]"),
    "2-D": ({"samples": SAMPLES[0]}, "shape [64, 30]"),
    "other channels": ({"samples": SAMPLES[:, :63]}, "shape [1, 63, 30]"),
    "no frames": ({"samples": SAMPLES[..., :0]}, "shape [1, 64, 0]"),
    "no songs": ({"samples": SAMPLES[:0]}, "shape [0, 64, 30]"),
    "int": ({"samples": SAMPLES.long()}, "int64"),
    "bool": ({"samples": SAMPLES > 0}, "bool"),
    "complex": ({"samples": SAMPLES.to(torch.complex64)}, "complex64"),
    "float8": ({"samples": SAMPLES.to(torch.float8_e5m2)}, "float8"),
    "sparse": ({"samples": SAMPLES.to_sparse()}, "sparse_coo"),
    "on meta": ({"samples": SAMPLES.to("meta")}, "plain tensor"),
    "NaN": ({"samples": with_one(nan)}, "NaN or infinite"),
    "infinite": ({"samples": with_one(-inf)}, "NaN or infinite"),
    "beyond float32": ({"samples": SAMPLES.double() * 1e300}, "NaN or infinite"),
    "NaN behind the end": (latent_of(SongLatents(SAMPLES, SAMPLES[..., :3] * nan)), "NaN or infinite"),
    "only marks": ({"samples": latent_of(song())["samples"].contiguous()[..., 30:]}, "without a frame"),
}


@pytest.mark.parametrize(("latent", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_are_no_latents_is_one_sentence(latent: Any, why: str):
    with pytest.raises(ValueError, match="^LeVo Decode ") as error:
        track_of(latent, CHANNELS, "LeVo Decode")
    assert_one_sentence(str(error.value))
    assert why in str(error.value)
