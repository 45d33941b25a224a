"""Released files to our models: the released inventories fit exactly; anything else is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from support import releases
from support.released import released_tensors
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from levo.config import (
    MIXED_ENCODER,
    RELEASED_CONFIGS,
    TRACK_ENCODER,
    LelmConfig,
    RendererConfig,
    StyleEncoderConfig,
    VaeConfig,
)
from levo.files import released
from levo.files.released import Layout
from levo.files.released import layout as layout_module
from levo.files.released.loading import plain_name
from levo.files.tensor_file import CheckpointError
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.style_encoder.encode import StyleEncoder
from levo.vae.oobleck import Vae

MANIFESTS = Path(__file__).parents[1] / "manifests"
LELM = LelmConfig("v2", 8, 12, 2, layers=2, layers_sub=1, lyric_length=6, style_length=4, max_seconds=1,
                  rope_theta=1e4)  # fmt: skip
RENDERER = RendererConfig(
    layers=2, heads=2, inner=20, mask=8, latent=4, condition=4, code_width=3, time=6, window=5
)
SIZES = {"width": 8, "inner": 12, "heads": 2, "channels": 4, "mels": 8, "kernel": 5, "code_width": 3}
ENCODER = StyleEncoderConfig(("vocal", "accompaniment"), (2, 1), **SIZES)
VAE = VaeConfig(channels=3, multiples=(2,), strides=(3,), latent=5)


@dataclass(frozen=True)
class Kind:
    """A model with its layout, built where asked."""

    build: Callable[..., nn.Module]
    layout: Layout


SMALL = {
    "lelm": Kind(lambda **place: LeLM(LELM, **place), released.lelm_layout(LELM)),
    "renderer": Kind(lambda **place: Renderer(RENDERER, **place), released.renderer_layout(RENDERER)),
    "vae": Kind(lambda **place: Vae(VAE, **place), released.vae_layout(VAE)),
    "style encoder": Kind(
        lambda **place: StyleEncoder(ENCODER, **place), released.style_encoder_layout(ENCODER)
    ),
}
NAMED = 5  # tensors in one sentence
LELM_SIZES = {"base": "base", "large": "large", "v2-medium": "v2_medium", "v2-large": "v2_large"}
# Parameters that the published code uses at run time.
LELM_PARAMETERS = {
    "base": 2_728_903_680,
    "large": 4_988_088_320,
    "v2-medium": 2_728_912_896,
    "v2-large": 4_988_100_608,
}


def manifest(name: str) -> dict[str, Tensor]:
    shapes = json.loads((MANIFESTS / f"{name}.json").read_text(encoding="utf-8"))
    return {plain_name(n): torch.empty(shape, device="meta") for n, shape in shapes.items()}


def meta(_name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, device="meta")


def small(kind: str) -> tuple[nn.Module, dict[str, Tensor], Layout]:
    """A small model on no device with what its file holds."""
    model, layout = SMALL[kind].build(device="meta"), SMALL[kind].layout
    return model, released_tensors(model, layout, meta), layout


def unused_of(tensors: dict[str, Tensor], layout: Layout) -> list[str]:
    return sorted(tensors.keys() - {name for source in layout.sources.values() for name in source.names})


# Released inventories ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", LELM_SIZES)
def test_released_lelm_inventory_is_used_up_to_six_tensors(size):
    tensors, layout = (
        manifest(f"songgeneration_{LELM_SIZES[size]}"),
        released.lelm_layout(RELEASED_CONFIGS[size]),
    )
    model = LeLM(RELEASED_CONFIGS[size], device="meta")
    released.check(tensors, layout, model)
    assert sum(p.numel() for p in model.parameters()) == LELM_PARAMETERS[size]
    assert unused_of(tensors, layout) == [
        "layer2_emb.0.weight",
        "out_norm.bias",
        "out_norm.weight",
        "transformer.model.embed_tokens.weight",
        "transformer2.lm_head.weight",
        "transformer2.model.embed_tokens.weight",
    ]


@pytest.mark.parametrize(("file", "other"), [("base", "v2-medium"), ("v2_large", "v2-medium")])
def test_a_released_lelm_does_not_pass_for_another_size(file, other):
    layout = released.lelm_layout(RELEASED_CONFIGS[other])
    with pytest.raises(CheckpointError):
        released.check(
            manifest(f"songgeneration_{file}"), layout, LeLM(RELEASED_CONFIGS[other], device="meta")
        )


def test_released_renderer_inventory_fits():
    tensors, layout = manifest("model_septoken_slim"), released.renderer_layout(RendererConfig())
    released.check(tensors, layout, Renderer(RendererConfig(), device="meta"))
    used = {name for source in layout.sources.values() for name in source.names}
    assert len(used) == 233 - 1  # all that sound needs but the stand-in for missing codes


def test_released_vae_inventory_fits_without_a_remainder():
    tensors, layout = manifest("autoencoder_music_1320k"), released.vae_layout(VaeConfig())
    model = Vae(VaeConfig(), device="meta")
    released.check(tensors, layout, model)
    assert unused_of(tensors, layout) == []
    assert sum(p.numel() for p in model.decoder.parameters()) == 84_395_776


ENCODERS = {"1rvq": (MIXED_ENCODER, 6), "septoken": (TRACK_ENCODER, 7)}
NEVER_RUN = (  # of the encode side: what trains, what comes after the last layer that is read
    "bestrq.model.cls_token",
    "bestrq.model.linear.",
    "bestrq.model.conformer.layer_norm.",
    "bestrq.model.conformer.pos_conv_embed.",
)


@pytest.mark.parametrize("full", [False, True], ids=["slim", "full"])
@pytest.mark.parametrize("file", ENCODERS)
def test_released_encoder_inventory_is_used_up_to_the_last_layer_that_is_read(file, full):
    config, depth = ENCODERS[file]
    tensors = {"1rvq": releases.style_encoder, "septoken": releases.septoken}[file](full)
    tensors = {plain_name(name): tensor for name, tensor in tensors.items()}
    layout = released.style_encoder_layout(config)
    released.check(tensors, layout, StyleEncoder(config, device="meta"))
    left = [name for name in unused_of(tensors, layout) if name.startswith("bestrq.")]
    later = tuple(f"bestrq.model.conformer.layers.{n}." for n in range(depth, 12))
    rest = [name for name in left if not name.startswith(NEVER_RUN + later)]
    assert all(name.endswith("num_batches_tracked") for name in rest)


def test_a_file_of_one_encoder_does_not_pass_for_the_other():
    layout = released.style_encoder_layout(TRACK_ENCODER)
    with pytest.raises(CheckpointError, match="is a 1rvq tokenizer; the septoken tokenizer needs"):
        released.check(manifest("model_1rvq_slim"), layout, StyleEncoder(TRACK_ENCODER, device="meta"))
    layout = released.style_encoder_layout(MIXED_ENCODER)
    with pytest.raises(CheckpointError, match="is a renderer; the 1rvq tokenizer needs"):
        released.check(manifest("model_septoken_slim"), layout, StyleEncoder(MIXED_ENCODER, device="meta"))


# Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SMALL)
def test_each_missing_tensor_is_named(kind):
    model, tensors, layout = small(kind)
    for name in tensors:
        rest = {n: t for n, t in tensors.items() if n != name}
        with pytest.raises(CheckpointError) as error:
            released.check(rest, layout, model)
        assert f"(missing: {name})" in str(error.value)


@pytest.mark.parametrize("kind", SMALL)
def test_an_unknown_tensor_is_named(kind):
    model, tensors, layout = small(kind)
    tensors["lora.weight"] = meta("", (1,))
    with pytest.raises(CheckpointError, match=r"\(unexpected: lora\.weight\)"):
        released.check(tensors, layout, model)


@pytest.mark.parametrize("kind", SMALL)
def test_a_change_of_any_dimension_of_any_tensor_is_named(kind):
    model, tensors, layout = small(kind)
    checks: list[tuple[dict[str, list[int]], set[str]]] = []  # shapes to change, and what is then listed
    for name, tensor in tensors.items():
        if name == "normfeat.counts":
            continue  # one number, whatever its shape
        sources = [source.names for source in layout.sources.values() if name in source.names]
        beside = set().union(*sources)
        for axis in range(tensor.ndim):
            shape = [size + (at == axis) for at, size in enumerate(tensor.shape)]
            for changes, listed in checks:
                if not beside & listed and len(beside | listed) <= NAMED:
                    changes[name] = shape
                    listed |= beside
                    break
            else:
                checks.append(({name: shape}, set(beside)))
    for changes, _ in checks:
        changed = {name: meta("", tuple(shape)) for name, shape in changes.items()}
        with pytest.raises(CheckpointError, match="wrong in shape") as error:
            released.check(tensors | changed, layout, model)
        assert [f"{n} {s}" for n, s in changes.items() if f"{n} {s}" not in str(error.value)] == []


def test_a_weight_norm_gain_for_all_channels_at_once_is_refused():
    model, tensors, layout = small("vae")
    name = "decoder.layers.0.weight_g"
    with pytest.raises(CheckpointError, match="decoder.layers.0.weight_g"):
        released.check(tensors | {name: meta("", (1, 1, 1))}, layout, model)


def test_projections_that_only_fit_together_by_chance_are_refused():
    model, tensors, layout = small("lelm")
    attention = "transformer.model.layers.0.self_attn"
    changed = {
        f"{attention}.q_proj.weight": meta("", (9, 8)),
        f"{attention}.k_proj.weight": meta("", (7, 8)),
    }
    with pytest.raises(CheckpointError, match="q_proj"):
        released.check(tensors | changed, layout, model)


def test_at_most_five_names_are_listed():
    model, tensors, layout = small("vae")
    names = sorted(tensors)
    with pytest.raises(CheckpointError) as error:
        released.check({n: tensors[n] for n in names[5:]}, layout, model)
    assert f"(missing: {', '.join(names[:5])})" in str(error.value)
    with pytest.raises(CheckpointError) as error:
        released.check({n: tensors[n] for n in names[7:]}, layout, model)
    assert f"(missing: {', '.join(names[:5])} and 2 more)" in str(error.value)
    assert names[5] not in str(error.value)


def test_missing_and_unexpected_are_told_in_one_sentence():
    model, tensors, layout = small("vae")
    tensors["odd"] = tensors.pop("decoder.layers.0.bias")
    with pytest.raises(CheckpointError) as error:
        released.check(tensors, layout, model)
    assert str(error.value) == (
        "This file does not hold a VAE of the expected size "
        "(missing: decoder.layers.0.bias; unexpected: odd)."
    )


def test_the_model_is_untouched_after_a_refusal():
    kind = SMALL["vae"]
    model = kind.build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = released_tensors(model, kind.layout)
    del tensors["encoder.layers.0.bias"]
    with pytest.raises(CheckpointError):
        released.load(model, lambda: tensors, kind.layout)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# Values --------------------------------------------------------------------------------------------------


def respelled(name: str) -> str:
    name = name.replace("weight_g", "parametrizations.weight.original0")
    return name.replace("weight_v", "parametrizations.weight.original1")


@pytest.mark.parametrize("kind", ["renderer", "vae"])
@pytest.mark.parametrize("rename", [respelled, lambda name: f"audiolm.{name}"], ids=["newer", "prefixed"])
def test_every_spelling_of_names_loads_to_the_same(kind, rename):
    one, other, layout = SMALL[kind].build(), SMALL[kind].build(), SMALL[kind].layout
    tensors = released_tensors(one, layout)
    renamed = {rename(name): tensor for name, tensor in tensors.items()}
    assert renamed.keys() != tensors.keys()
    released.load(one, lambda: tensors, layout)
    released.load(other, lambda: renamed, layout)
    assert all(torch.equal(t, other.state_dict()[name]) for name, t in one.state_dict().items())


@pytest.mark.parametrize(
    "layer", [nn.Conv1d(5, 4, 3), nn.ConvTranspose1d(4, 6, 3)], ids=["conv", "transposed"]
)
def test_folded_weight_norm_is_torchs_weight(layer):
    normed = weight_norm(layer)
    with torch.no_grad():
        normed.parametrizations.weight.original0.mul_(torch.linspace(0.5, 2, 4)[:, None, None])
        gain, direction = normed.parametrizations.weight.original0, normed.parametrizations.weight.original1
        torch.testing.assert_close(layout_module.fold_weight_norm(gain, direction), normed.weight)


@pytest.mark.parametrize("bias", [False, True])
def test_a_folded_batch_norm_computes_the_same(bias):
    generator = torch.Generator().manual_seed(0)
    conv, norm = nn.Conv1d(3, 4, 3, bias=bias), nn.BatchNorm1d(4).eval()
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(torch.rand(4, generator=generator) + 0.5)
        x = torch.randn(2, 3, 9, generator=generator)
        gain, variance = norm.weight, norm.running_var
        own = [conv.bias] if bias else []
        kernel = layout_module.folded_kernel(conv.weight, gain, variance)
        shift = layout_module.folded_bias(gain, variance, norm.bias, norm.running_mean, *own)
        torch.testing.assert_close(nn.functional.conv1d(x, kernel, shift), norm(conv(x)))


def test_latent_statistics_are_mean_and_deviation_of_the_samples():
    samples = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * 3 + 2
    found = layout_module.latent_statistics(torch.tensor([200.0]), samples.sum(0), samples.square().sum(0))
    expected = torch.stack((samples.mean(0), samples.std(0, correction=0)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [0.0, 9.0])
def test_too_few_samples_mean_no_normalisation(count):
    found = layout_module.latent_statistics(
        torch.tensor([count]), torch.full((3,), 5.0), torch.full((3,), 90.0)
    )
    assert found.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_ten_samples_are_enough():
    found = layout_module.latent_statistics(
        torch.tensor([10.0]), torch.full((3,), 5.0), torch.full((3,), 90.0)
    )
    torch.testing.assert_close(found, torch.tensor([[0.5] * 3, [8.75**0.5] * 3]))


@pytest.mark.parametrize("target", [torch.float32, torch.bfloat16])
def test_sources_of_mixed_precision_are_cast_to_the_models(target):
    model, layout = SMALL["lelm"].build(dtype=target), SMALL["lelm"].layout
    tensors = released_tensors(model, layout)
    halves = {name: t.bfloat16() for name, t in tensors.items() if name.startswith("transformer.")}
    released.load(model, lambda: tensors | halves, layout)
    loaded = model.state_dict()
    assert {t.dtype for t in loaded.values()} == {target}
    block = "model.layers.0.mlp.down_proj.weight"
    assert torch.equal(loaded["stage1.blocks.0.down.weight"], halves[f"transformer.{block}"].to(target))
    assert torch.equal(loaded["stage2.blocks.0.down.weight"], tensors[f"transformer2.{block}"].to(target))


def test_the_style_table_tells_the_version():
    assert released.style_rows(manifest("songgeneration_base")) == 151_646
    assert released.style_rows(manifest("songgeneration_v2_large")) == 151_652
    assert released.style_rows(manifest("autoencoder_music_1320k")) is None
