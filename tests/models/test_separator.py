"""Splitting songs with HTDemucs: as demucs-infer does it, at any rate, and out of any published file."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from support import checkpoints, separators
from support.sentences import assert_one_sentence
from support.separators import PACKAGE, PLAIN, SAFE
from torch import Tensor, nn

from levo import tiny
from levo.config import SeparatorConfig
from levo.files import parts
from levo.files.released import separator_layout
from levo.files.tensor_file import CheckpointError
from levo.kinds import Kind
from levo.separator.model import MissingPackageError, arguments, build
from levo.separator.split import SeparatedStems, split

RATE = 44_100
SHORT = replace(tiny.SEPARATOR, segment=Fraction(1, 2))
pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return separators.separator(SHORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each form."""
    folder = tmp_path_factory.mktemp("separators")
    for name, write in separators.WRITERS.items():
        write(folder / name)
    return folder


def song(samples: int, channels: int = 2, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(samples)
    return 0.1 + 0.3 * torch.randn(batch, channels, samples, generator=generator)


def published(model: nn.Module, mix: Tensor, seed: int) -> Tensor:
    """Stems as demucs-infer makes them, around its apply_model the scaling of the published pipeline."""
    from demucs_infer.apply import apply_model

    middle = mix.mean(dim=0)
    random.seed(seed)
    made = apply_model(model, ((mix - middle.mean()) / middle.std())[None], shifts=1)[0]
    return made * middle.std() + middle.mean()


# Like the package ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [2, 1_000, 22_050, 45_678, 66_150])
@pytest.mark.parametrize("seed", [0, 7])
def test_stems_are_those_of_the_package(model: nn.Module, samples: int, seed: int):
    mix = song(samples)
    made = split(model, SHORT, mix, RATE, seed)
    expected = dict(zip(("drums", "bass", "other", "vocals"), published(model, mix[0], seed), strict=True))
    for name, stem in expected.items():
        torch.testing.assert_close(getattr(made, name)[0], stem, atol=1e-6, rtol=1e-5)


def test_the_model_is_that_of_the_package_with_its_own_way_to_load(model: nn.Module):
    from demucs_infer.htdemucs import HTDemucs

    theirs = HTDemucs(**arguments(SHORT)).eval()
    theirs.load_state_dict(model.state_dict(), strict=True)
    mix = song(SHORT.window)
    assert torch.equal(theirs(mix), model(mix))
    assert list(theirs.buffers()) == []


def test_the_released_size_has_as_many_parameters_as_the_released_file():
    with torch.device("meta"):
        count = sum(p.numel() for p in build(SeparatorConfig(), "meta").parameters())
    assert 4 * count == pytest.approx(160.35 * 2**20, rel=2e-3)  # and the entries of the file


# Any song ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_have_the_rate_channels_and_length_of_the_song_and_add_up(model, rate: int, channels: int):
    mix = song(rate // 3 + 1, channels, batch=2)
    made = split(model, SHORT, mix, rate, 1)
    assert all(stem.shape == mix.shape and stem.dtype == torch.float32 for stem in vars(made).values())
    assert torch.equal(made.accompaniment, mix - made.vocals)
    assert made.vocals.std() > 1e-3


def test_songs_of_a_batch_are_split_as_if_they_were_alone(model: nn.Module):
    mixes = torch.cat((song(30_000), 3 * song(30_000).flip(-1)))
    together, alone = split(model, SHORT, mixes, RATE, 1), split(model, SHORT, mixes[1:], RATE, 1)
    assert torch.equal(together.drums[1:], alone.drums)


def test_a_mono_song_is_split_as_the_same_song_in_stereo(model: nn.Module):
    mono = song(30_000, channels=1)
    one, two = (split(model, SHORT, mix, RATE, 1) for mix in (mono, mono.expand(-1, 2, -1)))
    torch.testing.assert_close(one.bass, two.bass.mean(dim=1, keepdim=True))


def test_the_seed_decides_where_windows_lie(model: nn.Module):
    mix = song(30_000)
    first, again, other = (split(model, SHORT, mix, RATE, seed).vocals for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_silence_stays_silence(model: nn.Module):
    made = split(model, SHORT, torch.zeros(1, 2, 30_000), RATE, 1)
    assert all(stem.abs().max() < 1e-5 for stem in vars(made).values())


@pytest.mark.parametrize(
    ("shape", "rate"),
    [((1, 6, 100), RATE), ((1, 2, 0), RATE), ((1, 2, 1), RATE), ((0, 2, 100), RATE), ((1, 2, 2), 192_000)],
)
def test_what_cannot_be_split_is_refused_in_a_sentence(model: nn.Module, shape: tuple[int, ...], rate: int):
    with pytest.raises(ValueError, match=r"^The audio that shall be split|^Audio of 6 channels") as error:
        split(model, SHORT, torch.zeros(shape), rate, 1)
    assert_one_sentence(str(error.value))


def test_the_shortest_sound_is_split(model: nn.Module):
    assert split(model, SHORT, torch.tensor([[[0.5, -0.5]]]), RATE, 1).vocals.shape == (1, 1, 2)


def test_progress_goes_through_all_songs_and_cancel_stops_at_a_window(model: nn.Module):
    steps = []
    split(model, SHORT, song(40_000, batch=2), RATE, 1, on_step=lambda *step: steps.append(step))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[0][0] == 0 and steps[-1][0] == steps[-1][1] == steps[0][1] > 4

    def cancel(done: int, total: int) -> None:
        if done == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        split(model, SHORT, song(40_000), RATE, 1, on_step=cancel)


# Any published file --------------------------------------------------------------------------------------


def loaded(path: Path) -> tuple[nn.Module, SeparatorConfig]:
    config = checkpoints.separator_config(path)
    model = build(config)
    checkpoints.load_weights(model, path, separator_layout(model))
    return model, config


@pytest.mark.parametrize("name", separators.WRITERS)
def test_a_file_of_any_form_is_recognised_and_loads_as_it_was(folder: Path, name: str):
    path = folder / name
    assert parts.recognise(path).kind == Kind.SEPARATOR
    model, config = loaded(path)
    assert config == replace(tiny.SEPARATOR, segment=separators.SEGMENTS[name])
    state, exact = separators.tensors(), name != PACKAGE  # which holds halves
    for key, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[key] if exact else state[key].half().float()), key


def test_a_package_loads_where_comfyui_has_allowed_numbers_of_numpy(folder: Path):
    def scalar(*given: object) -> object:
        return given

    scalar.__module__ = "numpy.core.multiarray"
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([scalar, np.dtype, type(np.dtype("f8"))]):
        loaded(folder / PACKAGE)
    assert set(torch.serialization.get_safe_globals()) == before


def test_stems_of_a_packaged_file_are_named_by_its_own_order(folder: Path, tmp_path: Path):
    order = ["vocal", "other", "drums", "bass"]
    path = separators.write_package(tmp_path / PACKAGE, sources=order, segment=Fraction(1, 2))
    model, config = loaded(path)
    mix = song(20_000)
    made = split(model, config, mix, RATE, 3)
    expected = published(model, mix[0], 3)
    torch.testing.assert_close(made.vocals[0], expected[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(made.bass[0], expected[3], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("write", [separators.write_package, separators.write_safe])
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"klass": "demucs.hdemucs.HDemucs"}, "HDemucs"),
        ({"sources": ["drums", "bass", "other", "vocals", "guitar", "piano"]}, "guitar"),
        ({"sources": None}, "stems"),
        ({"t_heads": 4}, "t_heads"),
        ({"cac": False}, "cac"),
        ({"samplerate": 48_000}, "samplerate"),
        ({"segment": 10**9}, "1000000000"),
        ({"segment": "1e999999999"}, "1e999999999"),
        ({"segment": None}, "None"),
        ({"segment": float("nan")}, "nan"),
        ({"t_emb": ["sin"]}, "t_emb"),
        ({"kernel_size": {"a": 1}}, "kernel_size"),
    ],
)
def test_another_model_of_demucs_is_refused_in_a_sentence(tmp_path: Path, write, changes, named: str):
    path = write(tmp_path / (PACKAGE if write is separators.write_package else SAFE), **changes)
    with pytest.raises(CheckpointError, match=rf"^[^.]*{tmp_path.name}/[^ ]* [^.]*{named}[^.]*\.$"):
        checkpoints.separator_config(path)


def test_a_file_that_lacks_a_tensor_or_has_one_too_many_is_refused(tmp_path: Path):
    path = separators.write_plain(tmp_path / PLAIN, **{"crosstransformer.extra": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="unexpected: crosstransformer.extra"):
        loaded(path)
    state = separators.tensors()
    del state["decoder.0.conv_tr.bias"]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"missing: decoder\.0\.conv_tr\.bias"):
        loaded(path)


@pytest.mark.parametrize(
    ("segment", "seconds"), [(7.8, Fraction(39, 5)), (2, Fraction(2)), ("39/5", Fraction(39, 5))]
)
def test_the_seconds_of_a_package_may_be_any_number(tmp_path: Path, segment: object, seconds: Fraction):
    path = separators.write_safe(tmp_path / SAFE, segment=segment)
    assert checkpoints.separator_config(path).segment == seconds


def test_a_package_may_name_its_stems_first(tmp_path: Path):
    path = separators.write_package(tmp_path / PACKAGE, first=(["drums", "bass", "vocals", "other"],))
    assert checkpoints.separator_config(path).stems == ("drums", "bass", "vocals", "other")
    path = separators.write_package(tmp_path / PACKAGE, first=(["drums"], 2))
    with pytest.raises(CheckpointError, match="built in a way that is not known"):
        checkpoints.separator_config(path)


@pytest.mark.parametrize("content", [{"crosstransformer.a": torch.zeros(1)}, [1, 2]])
def test_a_file_of_something_else_is_refused_in_a_sentence(tmp_path: Path, content: object):
    torch.save(content, tmp_path / PLAIN)
    with pytest.raises(CheckpointError, match="is not an HTDemucs; choose"):
        checkpoints.separator_config(tmp_path / PLAIN)


# Untrusted pickles ---------------------------------------------------------------------------------------


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("at", ["klass", "kwargs", "training_args"])
def test_code_in_a_file_never_runs(folder: Path, tmp_path: Path, at: str):
    mark, path = tmp_path / "it ran", tmp_path / PACKAGE
    package = {"klass": None, "args": (), "kwargs": {}, "state": separators.tensors()}
    torch.save(package | {at: Malicious(mark)}, path)
    assert parts.recognise(path).name.startswith("damaged ")
    model = build(SHORT)
    for read in (
        checkpoints.separator_config,
        lambda path: checkpoints.load_weights(model, path, separator_layout(model)),
    ):
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            read(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # as it would have


def test_classes_that_a_package_names_are_never_made(tmp_path: Path):
    path = separators.write_package(tmp_path / PACKAGE)
    ran = []

    class HTDemucs:
        def __init__(self, **_: object) -> None:
            ran.append(1)

    module = ModuleType("demucs.htdemucs")
    module.HTDemucs = HTDemucs
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "demucs.htdemucs", module)
        loaded(path)
    assert ran == []


# The package ---------------------------------------------------------------------------------------------


def test_without_the_package_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "demucs_infer.htdemucs", None)
    with pytest.raises(
        MissingPackageError, match=r"-m pip install demucs-infer and start ComfyUI again\.$"
    ):
        build(SHORT)


def test_the_name_of_another_package_stays_its_own(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("demucs_infer", "demucs")]:
        monkeypatch.delitem(sys.modules, name)
    build(SHORT)
    assert not [name for name in sys.modules if name.partition(".")[0] == "demucs"]
    real = ModuleType("demucs")
    monkeypatch.setitem(sys.modules, "demucs", real)
    for name in [name for name in sys.modules if name.partition(".")[0] == "demucs_infer"]:
        monkeypatch.delitem(sys.modules, name)
    build(SHORT)
    assert sys.modules["demucs"] is real


def test_stems_are_all_that_a_split_gives():
    assert list(SeparatedStems.__dataclass_fields__) == [
        "vocals",
        "accompaniment",
        "drums",
        "bass",
        "other",
    ]
