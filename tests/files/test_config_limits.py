"""Configs are checked before anything is built: one table of types, ranges and relations for all files."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support import checkpoints, releases
from support.release_texts import VAE_JSON, config_text
from support.sentences import assert_one_sentence
from torch import Tensor

from levo import tiny
from levo.config import RELEASED_CONFIGS, LelmConfig, RendererConfig, VaeConfig
from levo.files import config_limits, converted, released
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.files.converted import Provenance
from levo.files.release_config import read_config, read_vae_config
from levo.files.tensor_file import CheckpointError
from levo.kinds import Kind
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

MODELS = {
    Kind.LELM: (LeLM, tiny.LELM),
    Kind.RENDERER: (Renderer, tiny.RENDERER),
    Kind.VAE: (Vae, tiny.VAE),
}
GOOD = [*RELEASED_CONFIGS.values(), RendererConfig(), VaeConfig(), replace(VaeConfig(), channels=208)]
GOOD += [tiny.LELM, tiny.RENDERER, tiny.VAE, tiny.SEPARATOR]


@pytest.mark.parametrize("config", GOOD, ids=str)
def test_released_and_tiny_configs_are_allowed(config: Any):
    config_limits.check(config)


@pytest.mark.parametrize("config", [LelmConfig, RendererConfig, VaeConfig])
def test_every_field_has_its_limits(config: type):
    assert config_limits.LIMITS[config].keys() == {field.name for field in fields(config)}


# One value of another type or size -----------------------------------------------------------------------

NO_NUMBER = [None, True, False, "32", "", [], [32], {}, {"a": 1}]
NO_WHOLE = [32.0, 32.9, float("nan"), float("inf"), -float("inf"), 0, -1, 10**9, 10**30, -(10**5_000)]
NO_SECONDS = [0, -5, 0.5, 600.1, 10**9, float("nan"), float("inf"), 10**400]
WHOLE = {
    LelmConfig: ("width", "inner", "heads", "layers", "layers_sub", "lyric_length", "style_length"),
    RendererConfig: (
        "layers",
        "heads",
        "inner",
        "mask",
        "latent",
        "condition",
        "code_width",
        "time",
        "window",
        "overlap",
    ),
    VaeConfig: ("channels", "latent", "audio_channels", "chunk", "overlap"),
}
START = {LelmConfig: tiny.LELM, RendererConfig: tiny.RENDERER, VaeConfig: tiny.VAE}
WRONG = [
    *((kind, field, value) for kind, names in WHOLE.items() for field in names for value in NO_NUMBER),
    *((kind, field, value) for kind, names in WHOLE.items() for field in names for value in NO_WHOLE),
    *((LelmConfig, "max_seconds", value) for value in [*NO_NUMBER, *NO_SECONDS]),
    *(
        (LelmConfig, theta, v)
        for theta in ("rope_theta", "rope_theta_sub")
        for v in (0, -1, 0.5, 1e300, "1")
    ),
    *((LelmConfig, "version", value) for value in ("v9", "", None, 2, ["v2"], "V2")),
    *(
        (LelmConfig, "delays", value)
        for value in (None, 250, "0, 250", (), (0, 250), (0, 250, 250, 250), (0, -1, 250), (0, 1e9, 250))
    ),
    *(
        (LelmConfig, "delays", value)
        for value in ((0, 10**9, 0), (0, True, 250), (0, "250", 250), (None,) * 3)
    ),
    *(
        (VaeConfig, field, value)
        for field in ("multiples", "strides")
        for value in (
            None,
            5,
            "1",
            (),
            ("a",) * 5,
            (0,) * 5,
            (-1,) * 5,
            (2.0,) * 5,
            (10**9,) * 5,
            (2,) * 100,
        )
    ),
]
RELATED = [
    (LelmConfig, {"heads": 3}, "do not divide"),
    (LelmConfig, {"heads": 32}, "do not divide"),  # heads 1 wide
    (LelmConfig, {"width": 34}, "do not divide"),  # heads 17 wide
    (RendererConfig, {"heads": 7}, "do not divide"),
    (RendererConfig, {"time": 63}, "not even"),
    (RendererConfig, {"overlap": 1_000}, "leaves nothing"),
    (RendererConfig, {"window": 100}, "leaves nothing"),
    (VaeConfig, {"overlap": 128}, "leaves nothing"),
    (VaeConfig, {"multiples": (1, 2, 4, 8)}, "differ in length"),
    (VaeConfig, {"strides": (2, 4, 4, 6, 5)}, "make 960 samples a frame, not 1,920"),
]


@pytest.mark.parametrize("kind", START)
def test_a_value_of_another_type_or_size_is_refused_by_its_name(kind: type):
    for of, field, value in WRONG:
        if of is kind:
            with pytest.raises(ValueError, match=rf"^{field} (is|are) ") as error:
                config_limits.check(replace(START[kind], **{field: value}))
            assert len(str(error.value)) < 350


@pytest.mark.parametrize(("kind", "changes", "why"), RELATED)
def test_values_that_do_not_go_together_are_refused(kind: type, changes: dict[str, Any], why: str):
    with pytest.raises(ValueError, match=why):
        config_limits.check(replace(START[kind], **changes))


# In files ------------------------------------------------------------------------------------------------


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(CheckpointError) as error:
        call(*arguments)
    assert_one_sentence(str(error.value))
    return str(error.value)


YAML = [
    ("dim: 1536", "dim: 100000", "dim is 100000, not a whole number from 1 to 16,384"),
    ("dim: 1536", "dim: 32.9", "dim is 32.9, not a whole number"),
    ("dim: 1536", "dim: true", "dim is True, not a number"),
    ("dim: 1536", "dim: '1536'", "dim is '1536', not a number"),
    ("dim: 1536", "dim: .nan", "dim is nan, not a whole number"),
    ("dim: 1536", "dim: [1536]", "dim is [1536], not a number"),
    ("dim: 1536", "dim: 2025-02-03", "dim is datetime.date(2025, 2, 3), not a number"),
    ("num_heads: 12", "num_heads: 0", "num_heads is 0, not a whole number from 1 to 256"),
    ("num_heads: 12", "num_heads: 7", "7 heads do not divide a width of 1536 into even parts"),
    ("num_layers: 28", "num_layers: 1000000", "num_layers is 1000000, not a whole number from 1 to 200"),
    ("num_layers_sub: 12", "num_layers_sub: -1", "num_layers_sub is -1, not a whole number"),
    ("max_len: 600", "max_len: 0", "max_len is 0, not a whole number"),
    ("max_len: 600", "max_len: 1000000000", "max_len is 1000000000, not a whole number"),
    ("rope_theta: 500000.0", "rope_theta: 0", "rope_theta is 0, not a number from 1 to"),
    ("max_dur: 270", "max_dur: .nan", "max_dur is nan, not a number from 1 to 600"),
    ("max_dur: 270", "max_dur: .inf", "max_dur is inf, not a number from 1 to 600"),
    ("max_dur: 270", "max_dur: -5", "max_dur is -5, not a number from 1 to 600"),
    ("max_dur: 270", "max_dur: 0", "max_dur is 0, not a number from 1 to 600"),
    ("[0, 250, 250]", "[0, 1000000000, 250]", "delays are [0, 1000000000, 250], not a whole number"),
    ("[0, 250, 250]", "250", "delays are 250, not 3 numbers"),
    ("[0, 250, 250]", "{a: 1}", "delays are {'a': 1}, not 3 numbers"),
    ("prompt_len: 10", "prompt_len: true", "prompt_len is True, not a number"),
    ("prompt_len: 10", "prompt_len: 1.0e+300", "prompt_len is 1e+300, not a whole number"),
]


@pytest.mark.parametrize(("old", "new", "why"), YAML)
def test_a_config_yaml_is_refused_with_what_is_wrong(tmp_path: Path, old: str, new: str, why: str):
    text = config_text("v2-medium")
    assert text.count(f"{old}\n") == 1
    path = tmp_path / "config.yaml"
    path.write_text(text.replace(f"{old}\n", f"{new}\n"))
    assert f"{path} is not the config of a SongGeneration release ({why}" in refusal(
        read_config, path, "v2"
    )


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("c_mults", ["a"] * 5, "c_mults is ['a', 'a', 'a', 'a', 'a'], not a number"),
        ("c_mults", 3, "c_mults is 3, not 1 to 10 numbers"),
        ("c_mults", None, "c_mults is None, not 1 to 10 numbers"),
        ("strides", [2, 4, 4, 6, 0], "strides is [2, 4, 4, 6, 0], not a whole number from 2 to 64"),
        ("strides", [2, 4, 4, 6, True], "strides is [2, 4, 4, 6, True], not a number"),
        ("strides", [2, 4, 4, 6, 20], "strides make 3,840 samples a frame, not 1,920"),
        ("channels", 10**9, "channels is 1000000000, not a whole number from 1 to 4,096"),
        ("channels", 128.0, "channels is 128.0, not a whole number"),
        ("out_channels", 1, "out_channels is 1, not a whole number from 2 to 2"),
    ],
)
def test_a_json_of_the_vae_is_refused_with_what_is_wrong(tmp_path: Path, key: str, value: Any, why: str):
    content = json.loads(json.dumps(VAE_JSON))
    for side in ("encoder", "decoder"):
        if key in content["model"][side]["config"]:
            content["model"][side]["config"][key] = value
    path = tmp_path / "stable_audio_1920_vae.json"
    path.write_text(json.dumps(content))
    assert f"({why}" in refusal(read_vae_config, path)


@cache
def tiny_tensors(kind: Kind) -> dict[str, Tensor]:
    build, config = MODELS[kind]
    model = build(config)
    tiny.init_weights(model)
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def our_file(path: Path, kind: Kind, **changes: Any) -> Path:
    """A converted file of a tiny model whose config says something else."""
    config = json.dumps(asdict(MODELS[kind][1]) | changes)
    metadata = {"levo.format": "1", "levo.part": kind.value, "levo.config": config}
    save_file(tiny_tensors(kind), path, metadata)
    return path


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Kind.LELM, {"layers": 10**6}),
        (Kind.LELM, {"delays": [0, 10**9, 250]}),
        (Kind.LELM, {"version": "v9"}),
        (Kind.LELM, {"heads": 3}),
        (Kind.LELM, {"max_seconds": float("nan")}),
        (Kind.RENDERER, {"window": 10**9}),
        (Kind.RENDERER, {"inner": "400"}),
        (Kind.VAE, {"multiples": {"a": 1}}),
        (Kind.VAE, {"strides": [0, 0, 0, 0, 0]}),
        (Kind.VAE, {"loudness": 3}),
    ],
)
def test_a_config_in_a_file_of_ours_is_refused(tmp_path: Path, kind: Kind, changes: dict[str, Any]):
    path = our_file(tmp_path / "mine.safetensors", kind, **changes)
    sentence = refusal(open_checkpoint(path).config, kind)
    assert sentence.startswith(f"{tmp_path.name}/mine.safetensors has a broken config")


def test_a_config_that_is_nested_deeply_is_refused(tmp_path: Path):
    path = tmp_path / "mine.safetensors"
    for said in ("[" * 100_000, "9" * 10_000, '{"channels":' * 200):
        metadata = {"levo.format": "1", "levo.part": "VAE", "levo.config": said}
        save_file({"decoder.first.weight": torch.zeros(1)}, path, metadata)
        assert "has a broken config" in refusal(checkpoints.vae_config, path)


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (Kind.LELM, {"width": 16_384}, "its config says 16,384 for width, and its weights have 32"),
        (Kind.LELM, {"inner": 65_536}, "its config says 65,536 for inner, and its weights have 96"),
        (Kind.LELM, {"layers": 200}, "its config says 200 for layers, and its weights have 2"),
        (Kind.LELM, {"layers_sub": 2}, "its config says 2 for layers_sub, and its weights have 1"),
        (Kind.RENDERER, {"window": 9_999}, "its config says 9,999 for window, and its weights have 1,000"),
        (Kind.RENDERER, {"condition": 16_384}, "for width, and its weights have"),
        (Kind.VAE, {"latent": 16_384}, "its config says 16,384 for latent, and its weights have 64"),
    ],
)
def test_a_config_of_another_size_than_the_weights_is_refused_before_a_model_is_built(
    tmp_path: Path, kind: Kind, changes: dict[str, Any], why: str
):
    path = our_file(tmp_path / "mine.safetensors", kind, **changes)
    assert why in refusal(fitting_config, open_checkpoint(path), kind)


def test_a_config_yaml_of_another_release_is_refused_before_a_model_is_built(tmp_path: Path):
    path = releases.write_release(tmp_path, "large")
    (tmp_path / "config.yaml").write_text(config_text("base-full"))
    sentence = refusal(fitting_config, open_checkpoint(path), Kind.LELM)
    assert (
        "its config says 1,536 for width, and its weights have 2,048; put the config beside it" in sentence
    )


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_of_ours_fits_its_own_config(tmp_path: Path, kind: Kind):
    build, config = MODELS[kind]
    model, path = build(config), tmp_path / "mine.safetensors"
    tiny.init_weights(model)
    converted.save(path, model, kind, config, Provenance("", ""), None, lambda done, total: None)
    assert fitting_config(open_checkpoint(path), kind) == config


@pytest.mark.parametrize("release", RELEASED_CONFIGS)
def test_every_release_fits_its_config(tmp_path: Path, release: str):
    path = releases.write_release(tmp_path, release)
    assert fitting_config(open_checkpoint(path), Kind.LELM) == RELEASED_CONFIGS[release]


def test_the_largest_models_that_are_allowed_can_be_built_on_no_device():
    """What passes the table costs no memory before its weights have been looked at."""
    most = replace(tiny.LELM, width=16_384, inner=65_536, heads=128, layers=200, layers_sub=200)
    config_limits.check(most)
    model = LeLM(most, device="meta")
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}
    with pytest.raises(CheckpointError):
        released.check(releases.lelm("base"), released.lelm_layout(most), model)
