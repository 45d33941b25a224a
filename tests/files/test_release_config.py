"""The texts beside released weights: what is read from config.yaml and the VAE's json, what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.release_texts import CONFIGS, VAE_JSON, config_text

from levo.config import RELEASED_CONFIGS, VaeConfig
from levo.files.release_config import read_config, read_vae_config
from levo.files.tensor_file import CheckpointError

PRODUCT = "${eval:${prompt_len}*${audio_tokenizer_frame_rate}+2}"
VOCABULARY = "${load_yaml:conf/vocab.yaml}"
SECTIONS = (
    "['[verse]', '[chorus]', '[bridge]', '[intro-short]', '[intro-medium]', '[intro-long]', "
    "'[outro-short]', '[outro-medium]', '[outro-long]', '[inst-short]', '[inst-medium]', '[inst-long]', "
    "'[silence]']"
)
CODE_DEPTH = "code_depth: 3\n  code_size: 16384\n  max_position"  # of the LeLM, not of a conditioner


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(folder: Path, old: str, new: str, name: str = "v2-medium") -> Path:
    """config.yaml of a release with one text in it changed."""
    text = config_text(name)
    assert text.count(old) == 1
    return written(folder, text.replace(old, new))


def reason(read: Callable[..., object], path: Path, *arguments: str) -> str:
    """Why a file is refused: what stands in brackets in one sentence that names it by its full path."""
    with pytest.raises(CheckpointError) as error:
        read(path, *arguments)
    sentence = str(error.value)
    assert sentence.startswith(f"{path} ") and sentence.endswith(".")
    assert "\n" not in sentence and ". " not in sentence
    return sentence.partition("(")[2].rpartition(")")[0]


# config.yaml ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_a_released_config_is_the_one_in_the_table(tmp_path, name):
    path = written(tmp_path, config_text(name))
    config = read_config(path, RELEASED_CONFIGS[name].version)
    assert config == RELEASED_CONFIGS[name]
    assert isinstance(config.delays, tuple)


def test_an_edited_config_is_believed(tmp_path):
    text = config_text("base", lyric=1024).replace("[0, 250, 250]", "[0, 100, 125]")
    config = read_config(written(tmp_path, text), "v1")
    assert (config.lyric_length, config.style_length) == (1024, 50)
    assert config.delays == (0, 100, 125)


@pytest.mark.parametrize(
    "line",
    [
        "max_dur: 270",
        "dim: 1536",
        "intermediate_size: 8960",
        "num_layers_sub: 12",
        "rope_theta: 500000.0",
        "max_len: 600",
        "max_len: 100",
        "delays: [0, 250, 250]",
        f"max_len: {PRODUCT}",
        f"add_token_list: {VOCABULARY}",
    ],
)
def test_a_missing_value_is_named_with_the_file(tmp_path, line):
    text = config_text("v2-medium")
    assert text.count(f" {line}\n") + text.count(f"\n{line}\n") == 1
    path = written(tmp_path, text.replace(line, f"x_{line}"))
    assert reason(read_config, path, "v2") == f"no {line.split(':')[0]!r}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just a sentence",
        "[1, 2]",
        "lm: [",
        "lm: 3\nconditioners: 4",
        "a: b: c",
        "\x00",
        "lm:\nconditioners:",
    ],
)
def test_what_is_no_released_config_is_refused_by_name(tmp_path, text):
    reason(read_config, written(tmp_path, text), "v2")


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    reason(read_config, path, "v2")
    path.write_bytes(b"\xff\xfe\x00\x81")
    reason(read_config, path, "v2")


def test_a_value_of_the_wrong_kind_is_refused(tmp_path):
    path = written(tmp_path, config_text("v2-medium", dim="wide"))
    assert reason(read_config, path, "v2") == "dim is 'wide', not a number"


def test_a_yaml_tag_runs_nothing(tmp_path):
    touched = tmp_path / "touched"
    path = written(tmp_path, f"lm: !!python/object/apply:os.mkdir ['{touched}']\n")
    reason(read_config, path, "v2")
    assert not touched.exists()


@pytest.mark.parametrize(("old", "new"), [(PRODUCT, "252"), (VOCABULARY, SECTIONS)])
def test_what_an_interpolation_stands_for_may_be_written_out(tmp_path, old, new):
    assert read_config(changed(tmp_path, old, new), "v2") == RELEASED_CONFIGS["v2-medium"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("prompt_len: 10", "prompt_len: 12", "max_len is 302, not 252"),
        ("audio_tokenizer_frame_rate: 25", "audio_tokenizer_frame_rate: 50", "max_len is 502, not 252"),
        ("audio_tokenizer_frame_rate: 25", "x: 25", "no 'audio_tokenizer_frame_rate'"),
        ("prompt_len: 10", "prompt_len: short", "prompt_len is 'short', not a number"),
        (PRODUCT, "253", "max_len is 253, not 252"),
        (VOCABULARY, "['[verse]']", "add_token_list is ['[verse]'], not ['[verse]', '[chorus]', "),
        (CODE_DEPTH, CODE_DEPTH.replace("3", "1", 1), "code_depth is 1, not 3"),
        (CODE_DEPTH, CODE_DEPTH.replace("16384", "1024"), "code_size is 1024, not 16384"),
        ("[0, 250, 250]", "[0, 250]", "delays are [0, 250], not 3 numbers"),
    ],
)
def test_a_model_that_is_not_built_here_is_refused(tmp_path, old, new, why):
    assert reason(read_config, changed(tmp_path, old, new), "v2").startswith(why)


@pytest.mark.parametrize(
    ("key", "old", "text"),
    [
        ("vae_model", "./ckpt/vae/autoencoder_music_1320k.ckpt", "${oc.env:HOME}/vae.ckpt"),
        (
            "audio_tokenizer_checkpoint",
            "Flow1dVAE1rvq_./ckpt/model_1rvq/model_2_fixed.safetensors",
            "a_${b}",
        ),
        ("fuser.prepend", "description, prompt_audio, type_info", "${fuser}"),
        ("lm.dim", "1536", "${eval:1024+512}"),
        ("lm.num_layers", "28", "${layers}"),
        ("conditioners.prompt_audio.qt_embedding.max_len", PRODUCT, f"{PRODUCT}+1"),
        ("conditioners.prompt_audio.qt_embedding.max_len", PRODUCT, PRODUCT.replace("*", "-")),
        ("conditioners.prompt_audio.qt_embedding.max_len", PRODUCT, "${eval:__import__('os').getcwd()}"),
        ("conditioners.description.QwTokenizer.add_token_list", VOCABULARY, "${load_yaml:conf/other.yaml}"),
        ("conditioners.description.QwTokenizer.add_token_list", VOCABULARY, f"{VOCABULARY}.bak"),
    ],
)
def test_any_other_interpolation_is_refused_with_its_key_and_text(tmp_path, key, old, text):
    path = changed(tmp_path, old, json.dumps(text))  # whose quotes are YAML's too
    assert reason(read_config, path, "v2") == f"{key} is {text!r}, which is not understood"


# The json of the VAE -------------------------------------------------------------------------------------


def vae_json(folder: Path, **changes: Any) -> Path:
    """The released json with changes: `model__io_channels=3` sets a value, None removes it."""
    content = copy.deepcopy(VAE_JSON)
    for place, value in changes.items():
        *keys, last = place.split("__")
        branch = content
        for key in keys:
            branch = branch[key]
        assert last in branch
        if value is None:
            del branch[last]
        else:
            branch[last] = value
    path = folder / "stable_audio_1920_vae.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


ENCODER, DECODER = "model__encoder__config__", "model__decoder__config__"


def test_the_released_json_is_the_known_vae(tmp_path):
    assert read_vae_config(vae_json(tmp_path)) == VaeConfig()


def test_another_width_is_believed(tmp_path):
    path = vae_json(tmp_path, **{f"{ENCODER}channels": 208, f"{DECODER}channels": 208})
    assert read_vae_config(path) == replace(VaeConfig(), channels=208)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (f"{DECODER}final_tanh", True, "final_tanh is True, not False"),
        (f"{DECODER}use_snake", False, "use_snake is False, not True"),
        (f"{DECODER}channels", "wide", "channels is 'wide', not a number"),
        (f"{ENCODER}channels", 208, "channels is 208, not 128"),
        (f"{ENCODER}latent_dim", 64, "latent_dim is 64, not 128"),
        (f"{ENCODER}strides", [2, 4, 4, 6, 5], "strides is [2, 4, 4, 6, 5], not [2, 4, 4, 6, 10]"),
        ("sample_rate", 44_100, "sample_rate is 44100, not 48000"),
        ("model__downsampling_ratio", 2_048, "downsampling_ratio is 2048, not 1920"),
    ],
)
def test_a_vae_that_is_not_built_here_is_refused(tmp_path, key, value, why):
    assert reason(read_vae_config, vae_json(tmp_path, **{key: value})) == why


def test_as_many_widths_as_strides_are_needed(tmp_path):
    path = vae_json(tmp_path, **{f"{side}c_mults": [1, 2, 4, 8] for side in (ENCODER, DECODER)})
    assert reason(read_vae_config, path) == "c_mults and strides differ in length"


@pytest.mark.parametrize(
    "key",
    [
        "sample_rate",
        "model",
        "model__encoder",
        "model__decoder",
        "model__decoder__config",
        "model__downsampling_ratio",
        *(f"{ENCODER}{key}" for key in ("channels", "c_mults", "strides", "latent_dim")),
        *(f"{DECODER}{key}" for key in ("channels", "c_mults", "strides", "latent_dim", "out_channels")),
        *(f"{DECODER}{key}" for key in ("use_snake", "final_tanh")),
    ],
)
def test_a_missing_key_of_the_json_is_named(tmp_path, key):
    assert reason(read_vae_config, vae_json(tmp_path, **{key: None})) == f"no {key.split('__')[-1]!r}"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"null", b'"model"', b'{"model": 3}', b"\xff\xfe"]
)
def test_a_broken_json_is_named(tmp_path, content):
    path = tmp_path / "stable_audio_1920_vae.json"
    path.write_bytes(content)
    reason(read_vae_config, path)
