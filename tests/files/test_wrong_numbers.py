"""Tensors that are no weights, by their kind or their numbers: refused by name while a file is loaded."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from safetensors.torch import save_file
from support import checkpoints
from support.peak_memory import peak
from support.released import released_tensors
from support.sentences import assert_one_sentence
from support.small_models import SMALL_LELM, SMALL_RENDERER
from torch import Tensor, nn

from levo import tiny
from levo.files import converted, released
from levo.files.converted import Provenance
from levo.files.released import Layout, layout, loading
from levo.files.tensor_file import CheckpointError, inventory, read
from levo.kinds import Kind
from levo.layers import fbgemm, fp8, int8, quantised, weights
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

SMALL_VAE = replace(tiny.VAE, channels=2, multiples=(1, 2), strides=(2, 2))  # few layers: few tensors
MODELS = {
    Kind.LELM: (partial(LeLM, SMALL_LELM), released.lelm_layout(SMALL_LELM), SMALL_LELM),
    Kind.RENDERER: (
        partial(Renderer, SMALL_RENDERER),
        released.renderer_layout(SMALL_RENDERER),
        SMALL_RENDERER,
    ),
    Kind.VAE: (partial(Vae, SMALL_VAE), released.vae_layout(SMALL_VAE), SMALL_VAE),
}
NO_WEIGHTS = [torch.bool, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16,
              torch.complex64, torch.float64, torch.float8_e5m2]  # fmt: skip
NEWER = (torch.uint16, torch.float8_e5m2)  # which pickles name in a way that is refused unread
NO_NUMBERS = [float("nan"), float("inf"), float("-inf")]


def with_one(tensors: dict[str, Tensor], name: str, number: float, place: int = -1) -> dict[str, Tensor]:
    """The tensors, one number of one of them changed."""
    changed = tensors[name].clone()
    changed.view(-1)[place] = number
    return {**tensors, name: changed}


def released_file(folder: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, folder / "model.pt")
    return folder / "model.pt"


def saved(folder: Path, kind: Kind, model: nn.Module) -> tuple[Path, dict[str, Tensor], dict[str, str]]:
    """A converted file of a model, its tensors and its metadata."""
    path = folder / "mine.safetensors"
    converted.save(path, model, kind, MODELS[kind][2], Provenance("a", ""), None, lambda *_: None)
    return path, {name: tensor.clone() for name, tensor in read(path).items()}, inventory(path).metadata


@cache
def saved_plain(kind: Kind) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a converted file."""
    with TemporaryDirectory() as folder:
        return saved(Path(folder), kind, filled(kind))[1:]


def filled(kind: Kind, **options: object) -> nn.Module:
    model = MODELS[kind][0](**options)
    tiny.init_weights(model)
    return model


@cache
def for_refusals(kind: Kind) -> nn.Module:
    """A model for files that are refused, which leave it as it was."""
    return filled(kind)


@cache
def released_plain(kind: Kind) -> dict[str, Tensor]:
    """Released tensors of a model; none is changed in place."""
    return released_tensors(filled(kind), MODELS[kind][1])


def refusal(model: nn.Module, path: Path, layout: Layout) -> str:
    """The sentence of a load that fails and leaves the model as it was."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError) as raised:
        checkpoints.load_weights(model, path, layout)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert_one_sentence(str(raised.value))
    return str(raised.value)


# Kinds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NO_WEIGHTS, ids=str)
@pytest.mark.parametrize("kind", MODELS)
def test_a_released_tensor_of_another_kind_is_named(tmp_path: Path, kind: Kind, dtype: torch.dtype):
    model, tensors, layout = for_refusals(kind), released_plain(kind), MODELS[kind][1]
    for name in (min(tensors), max(tensors)):
        path = released_file(tmp_path, {**tensors, name: torch.zeros(tensors[name].shape, dtype=dtype)})
        sentence = refusal(model, path, layout)
        assert f"({name} {str(dtype).removeprefix('torch.')})" in sentence or dtype in NEWER


@pytest.mark.parametrize("dtype", NO_WEIGHTS, ids=str)
@pytest.mark.parametrize("kind", MODELS)
def test_a_converted_tensor_of_another_kind_is_named(tmp_path: Path, kind: Kind, dtype: torch.dtype):
    model, (tensors, metadata), path = for_refusals(kind), saved_plain(kind), tmp_path / "mine.safetensors"
    for name in (min(tensors), max(tensors)):
        changed = {**tensors, name: torch.zeros(tensors[name].shape, dtype=dtype)}
        save_file(changed, path, metadata)
        sentence = refusal(model, path, MODELS[kind][1])
        assert name in sentence and str(dtype).removeprefix("torch.") in sentence


def test_a_file_of_whole_numbers_alone_is_refused_with_five_names(tmp_path: Path):
    build, layout, _ = MODELS[Kind.VAE]
    tensors = {name: tensor.int() for name, tensor in released_plain(Kind.VAE).items()}
    sentence = refusal(filled(Kind.VAE), released_file(tmp_path, tensors), layout)
    assert sentence.count(" int32") == 5 and f" and {len(tensors) - 5} more" in sentence


def test_bytes_where_no_matrix_of_an_int8_model_is_are_refused(tmp_path: Path):
    model = filled(Kind.LELM, operations=quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding))
    path, tensors, metadata = saved(tmp_path, Kind.LELM, model)
    norm = next(name for name in tensors if "norm" in name)
    save_file({**tensors, norm: torch.ones_like(tensors[norm], dtype=torch.int8)}, path, metadata)
    assert f"{norm} int8 without a scale" in refusal(model, path, MODELS[Kind.LELM][1])
    scale = next(name for name in tensors if name.endswith(".scale"))
    for dtype in (torch.int8, torch.float64):
        save_file({**tensors, scale: torch.ones_like(tensors[scale], dtype=dtype)}, path, metadata)
        assert scale in refusal(model, path, MODELS[Kind.LELM][1])


def test_sparse_and_quantised_tensors_are_refused(tmp_path: Path):
    build, layout, _ = MODELS[Kind.VAE]
    tensors = released_plain(Kind.VAE)
    name = "encoder.layers.0.weight_v"
    for odd in (tensors[name].to_sparse(), torch.quantize_per_tensor(tensors[name], 0.1, 0, torch.qint8)):
        with pytest.raises(CheckpointError, match=name):
            released.load(filled(Kind.VAE), lambda odd=odd: {**tensors, name: odd}, layout)


def test_what_a_model_does_not_need_may_be_of_any_kind(tmp_path: Path):
    model, layout = filled(Kind.RENDERER), MODELS[Kind.RENDERER][1]
    counter = "rvq_bestrq_emb.quantizers.0.stale_counter"
    tensors = {**released_tensors(model, layout), counter: torch.full((3,), 5)}
    checkpoints.load_weights(model, released_file(tmp_path, tensors), layout)


# Numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_a_number_that_is_none_in_a_released_file_is_told_by_its_tensor(tmp_path: Path, kind: Kind):
    model, tensors, layout = for_refusals(kind), released_plain(kind), MODELS[kind][1]
    for name, number in zip(sorted(tensors)[:: len(tensors) // 3], cycle(NO_NUMBERS)):
        path = released_file(tmp_path, with_one(tensors, name, number))
        sentence = refusal(model, path, layout)
        assert name in sentence and "holds numbers that are none (NaN or Inf)" in sentence


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_number_that_is_none_in_a_mapped_file_is_told(tmp_path, dtype, place, number):
    """What stays in the file is checked like what is copied."""
    model = filled(Kind.VAE, dtype=dtype)
    path, tensors, metadata = saved(tmp_path, Kind.VAE, model)
    save_file(with_one(tensors, "decoder.first.weight", number, place), path, metadata)
    assert refusal(model, path, MODELS[Kind.VAE][1]).startswith("decoder.first.weight holds numbers that")


@pytest.mark.parametrize(
    "operations",
    [fp8.operations(nn, biased=False), quantised.operations(nn, int8.Int8Linear, int8.Int8Embedding)],
    ids=["fp8", "int8"],
)
def test_a_number_that_is_none_in_a_small_file_is_told(tmp_path: Path, operations):
    model = MODELS[Kind.LELM][0](operations=operations)
    plain = filled(Kind.LELM).state_dict()
    weights.assign(model, plain.items())
    path, tensors, metadata = saved(tmp_path, Kind.LELM, model)
    name = next(name for name, t in tensors.items() if t.dtype == torch.float8_e4m3fn or ".scale" in name)
    broken = tensors[name].float()
    broken.view(-1)[3] = float("nan")
    save_file({**tensors, name: broken.to(tensors[name].dtype)}, path, metadata)
    with pytest.raises(CheckpointError, match=f"{name} holds numbers that are none"):
        checkpoints.load_weights(model, path, MODELS[Kind.LELM][1])


@pytest.mark.skipif(not fbgemm.is_available(), reason="this CPU has no FBGEMM")
@pytest.mark.parametrize("number", NO_NUMBERS)
def test_a_number_that_is_none_does_not_get_into_packed_matrices(tmp_path: Path, number: float):
    layout = MODELS[Kind.LELM][1]
    name = "transformer.model.layers.0.mlp.up_proj.weight"
    tensors = with_one(released_plain(Kind.LELM), name, number)
    model = MODELS[Kind.LELM][0](operations=fbgemm.operations(nn))
    with pytest.raises(CheckpointError, match=name):
        checkpoints.load_weights(model, released_file(tmp_path, tensors), layout)


@pytest.mark.parametrize(
    ("dtype", "number", "said"),
    [
        (torch.float16, 70_000, "fp16"),
        (torch.float16, -1e30, "fp16"),
        (torch.bfloat16, 3.4028e38, "bf16"),
    ],
)
def test_a_number_too_large_for_the_models_dtype_is_told(tmp_path: Path, dtype, number, said):
    build, layout, _ = MODELS[Kind.VAE]
    name = "encoder.layers.0.bias"
    tensors = with_one(released_plain(Kind.VAE), name, number)
    path = released_file(tmp_path, tensors)
    sentence = refusal(filled(Kind.VAE, dtype=dtype), path, layout)
    assert sentence == f"{name} holds numbers too large for {said}; choose another dtype."
    checkpoints.load_weights(filled(Kind.VAE), path, layout)


def test_zeros_are_numbers(tmp_path: Path):
    build, layout, _ = MODELS[Kind.VAE]
    zeros = {name: torch.zeros_like(t) for name, t in released_plain(Kind.VAE).items()}
    model = filled(Kind.VAE)
    checkpoints.load_weights(model, released_file(tmp_path, zeros), layout)
    assert all(not tensor.any() for tensor in model.state_dict().values())


@pytest.mark.parametrize(
    ("dtype", "share"), [(torch.float32, 0.01), (torch.bfloat16, 0.01), (torch.float8_e4m3fn, 0.6)]
)
def test_looking_at_the_numbers_copies_little(dtype: torch.dtype, share: float):
    numbers = torch.zeros(30_000_000).to(dtype)
    source = layout.Source(("a",))
    assert peak(lambda: loading._require_finite(numbers, dtype, source)) < numbers.nbytes * share


@pytest.mark.parametrize("build", [layout.unchanged, layout.transpose])
def test_a_matrix_that_is_turned_is_copied_once_and_no_more(build):
    """As it was before its numbers were looked at."""
    stored = torch.ones(2_000, 2_000)
    model = nn.Linear(2_000, 2_000, bias=False, device="meta", dtype=torch.float16)
    layout_of_one = Layout(Kind.VAE, {"weight": layout.Source(("a",), build)}, ())
    most = peak(lambda: released.load(model, lambda: {"a": stored}, layout_of_one, "cpu"))
    assert most < 1.6 * stored.nbytes


def test_names_and_shapes_alone_can_still_be_loaded():
    build, vae_layout, _ = MODELS[Kind.VAE]
    tensors = {name: t.to("meta") for name, t in released_plain(Kind.VAE).items()}
    released.load(build(device="meta"), lambda: tensors, vae_layout)
