"""GGUF files: every schema and type is found, and loaded as the floats that it stands for."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from support import gguf_files
from support.gguf_models import Written, write_flow, write_lelm, write_vae
from support.kquants import ERROR
from support.small_files import (
    assert_layers_round_floats,
    assert_loaded_as_floats,
    assert_near,
    expected,
    loaded,
)
from torch import nn

from levo import tiny
from levo.config import RELEASED_CONFIGS, RendererConfig, VaeConfig
from levo.files import converted, parts, released
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.files.converted import Provenance
from levo.files.listing import Listing
from levo.kinds import Kind
from levo.layers import int4, int8
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

MANIFESTS = Path(__file__).parents[1] / "manifests"
DECODER, DECODER_LAYOUT = partial(Vae, encodes=False), partial(released.vae_layout, encodes=False)
TYPES = ("F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")
# A published file: bytes, of which so many are its header.
SIZES = {
    "v2-medium": {
        "Q8_0": 2_909_949_120,
        "Q6_K": 2_249_071_968,
        "Q5_K_M": 2_077_777_248,
        "Q4_K_M": 1_916_558_688,
    },
    "v2-large": {
        "F16": 9_986_305_440,
        "Q8_0": 5_310_562_912,
        "Q6_K": 4_102_556_992,
        "Q5_K_M": 3_761_638_720,
        "Q4_K_M": 3_440_774_464,
    },
    "flow": {"Q8_0": 835_813_888, "Q6_K": 707_404_288, "Q5_K_M": 653_548_032, "Q4_K_M": 602_860_032},
    "VAE decoder": {"F32": 337_596_448, "F16": 168_805_120},
}
HEADERS = {"v2-medium": 10_100_160, "v2-large": 10_104_416, "flow": 16_608, "VAE decoder": 13_344}
F16_HEADERS = {"v2-large": 10_104_224, "VAE decoder": 13_568}  # which do, and do not, say how it was packed


WRITERS = {
    # LeLM's K types ask for wide tables: tests/slow/test_wide_gguf.py
    **{f"levo2 {kind}": (write_lelm, kind) for kind in TYPES if "K" not in kind},
    **{f"flow {kind}": (write_flow, kind) for kind in TYPES},
    **{f"vae {kind}": (write_vae, kind) for kind in ("F32", "F16")},
    **{f"songgen {kind}": (partial(write_lelm, dialect="songgen-lelm"), kind) for kind in ("F16", "Q8_0")},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory):
    """Small files, each written once."""
    folder, made = tmp_path_factory.mktemp("gguf"), {}

    def get(name: str) -> Written:
        if name not in made:
            write, kind = WRITERS[name]
            made[name] = write(folder / f"{name.replace(' ', '-')}.gguf", kind)
        return made[name]

    return get


# What is loaded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_loaded_as_the_floats_that_it_stands_for(files, name: str):
    assert_loaded_as_floats(files(name))


@pytest.mark.parametrize("name", [name for name in WRITERS if "flow" not in name])
def test_a_file_is_near_to_what_it_was_made_of(files, name: str):
    assert_near(files(name), ERROR[name.split()[1]])


@pytest.mark.parametrize("name", ["levo2 F16", "levo2 Q8_0", "flow Q5_K_M"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes_round_the_same_floats_once(files, name: str, dtype: torch.dtype):
    file = files(name)
    ours, right = loaded(file, dtype), expected(file, dtype, file.floats)
    for tensor in right:
        assert ours[tensor].dtype == right[tensor].dtype
        torch.testing.assert_close(ours[tensor], right[tensor], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [int8.Int8Linear, int4.Int4Linear])
def test_layers_in_few_bits_round_the_same_floats(files, layer: type[nn.Module]):
    assert_layers_round_floats(files("levo2 Q8_0"), layer)


def test_halves_that_a_model_has_as_they_are_stay_in_the_file(files):
    file = files("levo2 F16")
    ours = loaded(file, torch.float16)
    # One mapping, of which all are parts.
    storages = {ours[n].untyped_storage().data_ptr() for n in ("codes.0.weight", "stage1.norm.weight")}
    assert len(storages) == 1


@pytest.mark.parametrize("name", ["levo2 Q8_0", "flow Q6_K", "vae F16"])
def test_a_loaded_file_is_saved_as_one_of_ours(files, name: str, tmp_path: Path):
    file = files(name)
    model = file.model(device="meta", dtype=torch.float32)
    open_checkpoint(file.path).load_into(model, file.layout, "cpu")
    path, config = tmp_path / "saved.safetensors", file.model.args[0]
    converted.save(path, model, file.kind, config, Provenance("a", "b"), None, lambda done, total: None)
    opened = open_checkpoint(path)
    assert not opened.encodes
    assert fitting_config(opened, file.kind) == config
    again = file.model(device="meta", dtype=torch.float32)
    opened.load_into(again, file.layout, "cpu")
    for tensor, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[tensor], value)


def test_a_vae_without_encoder_decodes_the_same(files):
    file = files("vae F32")
    decoder = file.model(dtype=torch.float32)
    open_checkpoint(file.path).load_into(decoder, file.layout, "cpu")
    whole = Vae(tiny.VAE)
    whole.load_state_dict(decoder.state_dict(), strict=False)
    latents = torch.randn(1, 64, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(decoder.decode(latents), whole.decode(latents))


# What is found -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_found_under_any_name(files, name: str, tmp_path: Path):
    (tmp_path / "any").mkdir()
    (tmp_path / "any" / "thing.gguf").symlink_to(files(name).path)
    (found,) = Listing().files([tmp_path])
    model = {"flow": "flow", "vae": "VAE decoder"}.get(name.split()[0], "thing")
    size = files(name).path.stat().st_size
    assert found.part == parts.Part(files(name).kind, f"{model} {name.split()[1]}", size)


def test_a_file_is_known_by_its_first_bytes(files, tmp_path: Path):
    (tmp_path / "model.safetensors").symlink_to(files("vae F16").path)
    (found,) = Listing().files([tmp_path])
    assert found.part and found.part.kind == Kind.VAE and found.part.whole_name is None


# Full size -----------------------------------------------------------------------------------------------


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    return {n: tuple(s) for n, s in json.loads((MANIFESTS / f"{name}.json").read_text("utf-8")).items()}


def full_size(model: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file's tensors."""
    if model == "flow":
        named = {gguf_files.flow_name(n): s for n, s in manifest("model_septoken_slim").items()}
        named = {n: s[::-1] if n and gguf_files.FLOW_MATRICES.fullmatch(n) else s for n, s in named.items()}
        named = {n: s[:2] for n, s in named.items()}
    elif model == "VAE decoder":
        named = {gguf_files.vae_name(n): s for n, s in manifest("autoencoder_music_1320k").items()}
    else:
        named = {
            gguf_files.lelm_name(n): s
            for n, s in manifest(f"songgeneration_{model.replace('-', '_')}").items()
        }
    return {name: shape for name, shape in named.items() if name}


@pytest.mark.parametrize(
    ("model", "kind"), [(model, kind) for model, sizes in SIZES.items() for kind in sizes]
)
def test_files_of_full_size_have_the_published_bytes_and_fit(tmp_path: Path, model: str, kind: str):
    path, shapes = tmp_path / "a.gguf", full_size(model)
    config, build, layout, values, architecture = {
        "flow": (
            RendererConfig(),
            Renderer,
            released.renderer_layout,
            gguf_files.flow_values,
            "levo2_flow",
        ),
        "VAE decoder": (
            VaeConfig(),
            DECODER,
            DECODER_LAYOUT,
            gguf_files.vae_values,
            "levo2_vae",
        ),
    }.get(model) or (RELEASED_CONFIGS[model], LeLM, released.lelm_layout, gguf_files.lelm_values, "levo2")
    profile = gguf_files.flow_profile if model == "flow" else gguf_files.profile
    size = gguf_files.write_hole(path, architecture, values(config), shapes, profile(kind))
    headers = F16_HEADERS if kind == "F16" else HEADERS
    assert size + headers[model] == SIZES[model][kind]
    file = open_checkpoint(path)
    assert (file.name, file.inventory.tensors.keys()) == (f"{model} {kind}", shapes.keys())
    assert fitting_config(file, file.kind) == config
    meta = build(config, device="meta")
    sizes = {name: tensor.shape for name, tensor in meta.state_dict().items()}
    released.check(file.inventory.tensors, released.gguf_layout(architecture, layout(config), sizes), meta)


def test_a_release_of_v1_in_the_other_dialect_has_its_lengths(tmp_path: Path):
    config, path = RELEASED_CONFIGS["base"], tmp_path / "a.gguf"
    shapes = {name.removeprefix("audiolm."): s for name, s in manifest("songgeneration_base").items()}
    values = gguf_files.songgen_values(config)
    gguf_files.write_hole(path, "songgen-lelm", values, shapes, gguf_files.profile("Q8_0"))
    file = open_checkpoint(path)
    assert fitting_config(file, Kind.LELM) == config and file.name == "base Q8_0"
    layout, meta = released.lelm_layout(config), LeLM(config, device="meta")
    sizes = {name: tensor.shape for name, tensor in meta.state_dict().items()}
    released.check(file.inventory.tensors, released.gguf_layout("songgen-lelm", layout, sizes), meta)
