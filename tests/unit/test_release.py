"""The config.yaml of a released checkpoint: what is read from it, and how a bad one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from levo.checkpoint import CheckpointError
from levo.config import RELEASED
from levo.release import read_config

# In the form of the released files: expressions in ${...}, a key without a value, and settings of a
# conditioner or a pattern one level below, under the name of its class.
FORM = """
max_dur: {max_dur}
min_dur: 30
prompt_len: 10
pad_to_max: true
sample_rate: 48000
audio_tokenizer_checkpoint: Flow1dVAE1rvq_./ckpt/model_1rvq/model_2_fixed.safetensors
audio_tokenizer_frame_rate: 25
vae_config: ./ckpt/vae/stable_audio_1920_vae.json
lyric_processor:
lm:
  lm_type: Llama
  dim: {dim}
  intermediate_size: {inner}
  num_heads: {heads}
  num_layers: {layers}
  num_layers_sub: 12
  code_depth: 3
  code_size: 16384
  dropout: 0.
  activation: gelu
  max_position_embeddings: {positions}
  max_position_embeddings_sub: 10000
  rope_theta: {theta}
  rope_theta_sub: 500000.0
  layer_scale: null
codebooks_pattern:
  modeling: delay
  delay:
    delays: [0, 250, 250]
    flatten_first: 0
    empty_initial: 0
classifier_free_guidance:
  training_dropout: 0.15
  inference_coef: 1.5
attribute_dropout:
  args:
    active_on_eval: false
  text:
    description: 0.0
    type_info: 0.2
use_text_training: True
fuser:
  sum: []
  prepend: [description, prompt_audio, type_info]
conditioners:
  prompt_audio:
    model: qt_embedding
    qt_embedding:
      code_size: 16384
      code_depth: 3
      max_len: ${{eval:${{prompt_len}}*${{audio_tokenizer_frame_rate}}+2}}
  description:
    model: QwTokenizer
    QwTokenizer:
      token_path: third_party/Qwen2-7B
      max_len: {lyric}
      add_token_list: ${{load_yaml:conf/vocab.yaml}}
  type_info:
    model: QwTextTokenizer
    QwTextTokenizer:
      token_path: third_party/Qwen2-7B
      max_len: {style}
offload:
  audiolm:
    offload_module: self
    dtype: torch.float16
    offload_layer_dict: {{transformer: 4, transformer2: 4}}
"""
MEDIUM = {"dim": 1536, "inner": 8960, "heads": 12, "layers": 28}
LARGE = {"dim": 2048, "inner": 11008, "heads": 16, "layers": 36}
LATER = {"max_dur": 270, "positions": 10000, "theta": "500000.0", "lyric": 600, "style": 100}
EARLY = {"max_dur": 150, "positions": 8196, "theta": 100000, "lyric": 300, "style": 50}
RELEASES = {
    "base": EARLY | MEDIUM,
    "base-full": LATER | MEDIUM,
    "large": LATER | LARGE,
    "v2-medium": LATER | MEDIUM,
    "v2-large": LATER | LARGE,
}


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", RELEASES)
def test_a_released_config_is_the_one_in_the_table(tmp_path, name):
    path = written(tmp_path, FORM.format(**RELEASES[name]))
    config = read_config(path, RELEASED[name].version)
    assert config == RELEASED[name]
    assert isinstance(config.delays, tuple)


def test_an_edited_config_is_believed(tmp_path):
    text = FORM.format(**RELEASES["base"]).replace("[0, 250, 250]", "[0, 100, 125]")
    config = read_config(written(tmp_path, text.replace("max_len: 300", "max_len: 1024")), "v1")
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
    ],
)
def test_a_missing_value_is_named_with_the_file(tmp_path, line):
    text = FORM.format(**RELEASES["v2-medium"])
    assert text.count(f" {line}\n") + text.count(f"\n{line}\n") == 1
    path = written(tmp_path, text.replace(line, f"x_{line}"))
    with pytest.raises(CheckpointError) as error:
        read_config(path, "v2")
    assert str(path) in str(error.value)
    assert line.split(":")[0] in str(error.value)


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
    path = written(tmp_path, text)
    with pytest.raises(CheckpointError) as error:
        read_config(path, "v2")
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    with pytest.raises(CheckpointError, match=r"config\.yaml"):
        read_config(path, "v2")
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CheckpointError, match=r"config\.yaml"):
        read_config(path, "v2")


def test_a_value_of_the_wrong_kind_is_refused(tmp_path):
    path = written(tmp_path, FORM.format(**RELEASES["v2-medium"] | {"dim": "wide"}))
    with pytest.raises(CheckpointError, match=r"config\.yaml"):
        read_config(path, "v2")


def test_a_yaml_tag_runs_nothing(tmp_path):
    touched = tmp_path / "touched"
    path = written(tmp_path, f"lm: !!python/object/apply:os.mkdir ['{touched}']\n")
    with pytest.raises(CheckpointError):
        read_config(path, "v2")
    assert not touched.exists()
