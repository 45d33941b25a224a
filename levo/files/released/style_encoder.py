"""The released names of the style encoder: MusicFM and the quantisers of both tokenizer files."""

from __future__ import annotations

from ...config import StyleEncoderConfig
from ...kinds import Kind
from .layout import (
    Layout,
    Source,
    as_row,
    concat,
    copy_leaves,
    folded_bias,
    folded_kernel,
    folded_matrix,
    squeeze_kernel,
)

QUANTIZERS = {
    "mixed": "rvq_bestrq_emb",
    "vocal": "rvq_bestrq_emb",
    "accompaniment": "rvq_bestrq_bgm_emb",
}
MUSICFM = "bestrq.model"
RELEASED_LAYERS = 12  # of the conformer; those after the last that is read are not needed


def style_encoder_layout(config: StyleEncoderConfig) -> Layout:
    """Layout of the encode side of `model_1rvq` and `model_septoken`, full and slim."""
    kind = Kind.MIXED_ENCODER if "mixed" in config.tracks else Kind.TRACK_ENCODER
    mel = f"{MUSICFM}.preprocessor_melspec_2048.mel_stft"
    sources = {
        "halve.weight": Source(("rsq48tobestrq.kernel",)),
        "musicfm.window.weight": Source((f"{mel}.spectrogram.window",), as_row),
        "musicfm.filters.weight": Source((f"{mel}.mel_scale.fb",)),
        "musicfm.rates.weight": Source((f"{MUSICFM}.conformer.embed_positions.inv_freq",), as_row),
        **copy_leaves("musicfm.project", f"{MUSICFM}.conv.linear", "weight", "bias"),
    }
    for n in range(2):
        for k, layer in enumerate(("first", "second", "skip"), start=1):
            theirs = f"{MUSICFM}.conv.conv.{n}"
            sources |= _normed(f"musicfm.halvings.{n}.{layer}", f"{theirs}.conv{k}", f"{theirs}.bn{k}")
    for n in range(config.layers):
        sources |= _conformer_layer(f"musicfm.layers.{n}", f"{MUSICFM}.conformer.layers.{n}")
    for track in config.tracks:
        sources |= _quantizer(f"quantizers.{track}", f"{QUANTIZERS[track]}.quantizers.0")
    return Layout(kind, sources, _unused(config))


def _unused(config: StyleEncoderConfig) -> tuple[str, ...]:
    later = "|".join(str(n) for n in range(config.layers, RELEASED_LAYERS))
    return (
        rf"bestrq\.model\.conformer\.layers\.({later})\..*",
        r"bestrq\.model\.conformer\.layer_norm\.(weight|bias)",  # after the last of them
        r"bestrq\.model\.conformer\.pos_conv_embed\..*",  # never runs: positions are rotary
        r"bestrq\.model\..*\.num_batches_tracked",
        r"bestrq\.model\.(?!conv\.|conformer\.|preprocessor_melspec_2048\.).*",  # training only
        r"rvq_bestrq_(bgm_)?emb\.quantizers\.0\.(stale_counter|out_proj\..*)",
        r"rs[pq]48to(clap|wav2vec|hubert)\.kernel",
        r"(cfm_wrapper|hubert|mask_emb|normfeat)\..*",  # codes to sound
        r"zero_cond_embedding1",
    )


def _normed(ours: str, conv: str, norm: str, bias: bool = True) -> dict[str, Source]:
    """A convolution and the batch norm after it as one convolution."""
    gain, variance = f"{norm}.weight", f"{norm}.running_var"
    rest = (f"{norm}.bias", f"{norm}.running_mean", *([f"{conv}.bias"] if bias else []))
    return {
        f"{ours}.weight": Source((f"{conv}.weight", gain, variance), folded_kernel),
        f"{ours}.bias": Source((gain, variance, *rest), folded_bias),
    }


def _conformer_layer(ours: str, theirs: str) -> dict[str, Source]:
    attention, conv = f"{theirs}.self_attn", f"{theirs}.conv_module"
    sources = {
        **copy_leaves(f"{ours}.attention_norm", f"{theirs}.self_attn_layer_norm", "weight", "bias"),
        **copy_leaves(f"{ours}.value", f"{attention}.linear_v", "weight", "bias"),
        **copy_leaves(f"{ours}.out", f"{attention}.linear_out", "weight", "bias"),
        **copy_leaves(f"{ours}.conv_norm", f"{conv}.layer_norm", "weight", "bias"),
        f"{ours}.widen.weight": Source((f"{conv}.pointwise_conv1.weight",), squeeze_kernel),
        **_normed(f"{ours}.depthwise", f"{conv}.depthwise_conv", f"{conv}.batch_norm", bias=False),
        f"{ours}.narrow.weight": Source((f"{conv}.pointwise_conv2.weight",), squeeze_kernel),
        **copy_leaves(f"{ours}.norm", f"{theirs}.final_layer_norm", "weight", "bias"),
    }
    for leaf in ("weight", "bias"):
        both = tuple(f"{attention}.linear_{part}.{leaf}" for part in "qk")
        sources[f"{ours}.query_key.{leaf}"] = Source(both, concat)
    for mlp, released in (("before", "ffn1"), ("after", "ffn2")):
        sources |= copy_leaves(f"{ours}.{mlp}.norm", f"{theirs}.{released}_layer_norm", "weight", "bias")
        sources |= copy_leaves(
            f"{ours}.{mlp}.up", f"{theirs}.{released}.intermediate_dense", "weight", "bias"
        )
        sources |= copy_leaves(f"{ours}.{mlp}.down", f"{theirs}.{released}.output_dense", "weight", "bias")
    return sources


def _quantizer(ours: str, theirs: str) -> dict[str, Source]:
    into = f"{theirs}.in_proj"
    return {
        f"{ours}.codebook.weight": Source((f"{theirs}.codebook.weight",)),
        f"{ours}.into.weight": Source((f"{into}.weight_g", f"{into}.weight_v"), folded_matrix),
        f"{ours}.into.bias": Source((f"{into}.bias",)),
    }
