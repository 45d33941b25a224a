"""The texts that lie beside released weights: config.yaml of every release and the json of the VAE."""

from __future__ import annotations

# In the form of the released files: expressions in ${...}, a key without a value, and settings of a
# conditioner or a pattern one level below, under the name of its class.
FORM = """
max_dur: {max_dur}
min_dur: 30
prompt_len: 10
pad_to_max: true
audio_tokenizer_checkpoint: Flow1dVAE1rvq_./ckpt/model_1rvq/model_2_fixed.safetensors
audio_tokenizer_frame_rate: 25
audio_tokenizer_code_depth: 1
sample_rate: 48000
audio_tokenizer_checkpoint_sep: Flow1dVAESeparate_./ckpt/model_septoken/model_2.safetensors
audio_tokenizer_frame_rate_sep: 25
audio_tokenizer_code_depth_sep: 2
sample_rate_sep: 48000
vae_config: ./ckpt/vae/stable_audio_1920_vae.json
vae_model: ./ckpt/vae/autoencoder_music_1320k.ckpt
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
  max_position_embeddings: {positions}
  max_position_embeddings_sub: 10000
  rope_theta: {theta}
  rope_theta_sub: 500000.0
  dropout: 0.
  use_flash_attn_2: true
  activation: gelu
  norm_first: true
  bias_ff: false
  bias_attn: false
  causal: true
  custom: false
  memory_efficient: true
  attention_as_float32: false
  layer_scale: null
  positional_embedding: sin
  xpos: false
  checkpointing: torch
  weight_init: gaussian
  depthwise_init: current
  zero_bias_init: true
  norm: layer_norm
  cross_attention: false
  qk_layer_norm: false
  qk_layer_norm_cross: false
  attention_dropout: null
  kv_repeat: 1
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
    type_info: {drop_style}
  audio:
    prompt_audio: {drop_prompt}
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
    cpu_mem_gb: 0
    pre_copy_step: 1
    clean_cache_after_forward: false
    dtype: torch.float16
    offload_layer_dict: {{transformer: 4, transformer2: 4}}
    clean_cache_wrapper: {{module: self, method_name: _sample_next_token, diff_mem_gb_thre: {spare}}}
  wav_tokenizer_diffusion:
    offload_module: self.model.model
    cpu_mem_gb: -1
    pre_copy_step: 1
    clean_cache_after_forward: false
    dtype: null
    offload_layer_dict: {{cfm_wrapper: 5, hubert: 4}}
    clean_cache_wrapper: {{module: cfm_wrapper.estimator, method_name: forward, diff_mem_gb_thre: 1}}
"""
MEDIUM = {"dim": 1536, "inner": 8960, "heads": 12, "layers": 28, "spare": 2}
LARGE = {"dim": 2048, "inner": 11008, "heads": 16, "layers": 36, "spare": 5}
LATER = {"max_dur": 270, "positions": 10000, "theta": "500000.0", "lyric": 600, "style": 100}
LATER |= {"drop_style": 0.5, "drop_prompt": 0.5}
EARLY = {"max_dur": 150, "positions": 8196, "theta": 100000, "lyric": 300, "style": 50}
EARLY |= {"drop_style": 0.5, "drop_prompt": 0.0}
CONFIGS = {
    "base": EARLY | MEDIUM,
    "base-new": EARLY | MEDIUM,
    "base-full": LATER | MEDIUM,
    "large": LATER | LARGE,
    "v2-medium": LATER | MEDIUM | {"drop_style": 0.2},
    "v2-large": LATER | LARGE | {"drop_style": 0.2},
}
OOBLECK = {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 6, 10], "use_snake": True}
VAE_JSON = {
    "model_type": "autoencoder",
    "sample_size": 403200,
    "sample_rate": 48000,
    "audio_channels": 2,
    "model": {
        "encoder": {"type": "oobleck", "config": {"in_channels": 2, **OOBLECK, "latent_dim": 128}},
        "decoder": {
            "type": "oobleck",
            "config": {"out_channels": 2, **OOBLECK, "latent_dim": 64, "final_tanh": False},
        },
        "bottleneck": {"type": "vae"},
        "latent_dim": 64,
        "downsampling_ratio": 1920,
        "io_channels": 2,
    },
    "training": {"learning_rate": 0.0001},
}


def config_text(name: str, **changes: object) -> str:
    """`config.yaml` of a release, of CONFIGS, with values of FORM changed."""
    return FORM.format(**CONFIGS[name] | changes)
