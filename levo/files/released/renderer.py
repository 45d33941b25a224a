"""The released names of the renderer."""

from __future__ import annotations

from ...config import RendererConfig
from ...kinds import Kind
from .layout import Layout, Source, copy_leaves, folded_matrix, latent_statistics, transpose


def renderer_layout(config: RendererConfig) -> Layout:
    """Layout of the decode side of `model_septoken/model_2.safetensors`, full and slim."""
    flow = "cfm_wrapper.estimator"
    time = f"{flow}.adaln_single.emb.timestep_embedder"
    sources = {
        "statistics.weight": Source(
            tuple(f"normfeat.{s}" for s in ("counts", "sum_x", "sum_x2")), latent_statistics
        ),
        "mask.weight": Source(("mask_emb.weight",)),
        "flow.positions.weight": Source((f"{flow}.wpe.weight",)),
        "flow.modulation.weight": Source((f"{flow}.scale_shift_table",)),
        **copy_leaves("flow.time_in", f"{time}.linear_1", "weight", "bias"),
        **copy_leaves("flow.time_out", f"{time}.linear_2", "weight", "bias"),
        **copy_leaves("flow.time_modulation", f"{flow}.adaln_single.linear", "weight", "bias"),
        **copy_leaves("flow.norm", f"{flow}.ln_f", "weight", "bias"),
        **copy_leaves("flow.out", f"{flow}.proj_out", "weight", "bias"),
        **_quantizer("vocal", "rvq_bestrq_emb.quantizers.0"),
        **_quantizer("accompaniment", "rvq_bestrq_bgm_emb.quantizers.0"),
    }
    for n in range(config.layers):
        sources |= _flow_block(f"flow.blocks.{n}", f"{flow}.h.{n}")
    unused = (
        r"cfm_wrapper\.estimator\.wte\.weight",
        r"cfm_wrapper\.estimator\.h\.\d+\.attn\.(bias|masked_bias)",
        r"cfm_wrapper\.mlp\..*",  # training only
        r"zero_cond_embedding1",  # stands in for missing codes; windows are always filled
        r"normfeat\.sum_target_x2",
        r"rvq_bestrq_(bgm_)?emb\.quantizers\.0\.(stale_counter|in_proj\..*)",
        r"rs[pq]48to\w+\.kernel",
        r"(bestrq|hubert)\..*",  # audio to codes
    )
    return Layout(Kind.RENDERER, sources, unused)


def _quantizer(ours: str, theirs: str) -> dict[str, Source]:
    out = f"{theirs}.out_proj"
    return {
        f"{ours}.codebook.weight": Source((f"{theirs}.codebook.weight",)),
        f"{ours}.out.weight": Source((f"{out}.weight_g", f"{out}.weight_v"), folded_matrix),
        f"{ours}.out.bias": Source((f"{out}.bias",)),
    }


def _flow_block(ours: str, theirs: str) -> dict[str, Source]:
    sources = {
        f"{ours}.modulation.weight": Source((f"{theirs}.scale_shift_table",)),
        **copy_leaves(f"{ours}.attention_norm", f"{theirs}.ln_1", "weight", "bias"),
        **copy_leaves(f"{ours}.mlp_norm", f"{theirs}.ln_2", "weight", "bias"),
    }
    for layer, name in (
        ("qkv", "attn.c_attn"),
        ("out", "attn.c_proj"),
        ("up", "mlp.c_fc"),
        ("down", "mlp.c_proj"),
    ):
        sources[f"{ours}.{layer}.weight"] = Source(
            (f"{theirs}.{name}.weight",), transpose
        )  # stored [in, out]
        sources[f"{ours}.{layer}.bias"] = Source((f"{theirs}.{name}.bias",))
    return sources
