"""The released names of LeLM."""

from __future__ import annotations

from ...config import LelmConfig
from ...kinds import Kind
from .layout import Layout, Source, concat, copy_leaves


def lelm_layout(config: LelmConfig) -> Layout:
    """Layout of `model.pt` of every SongGeneration release."""
    conditioners = "condition_provider.conditioners"
    prompt = f"{conditioners}.prompt_audio"
    sources = {
        "conditioner.lyric.weight": Source((f"{conditioners}.description.output_proj.weight",)),
        "conditioner.structure.weight": Source((f"{conditioners}.description.structure_emb.weight",)),
        "conditioner.style.weight": Source((f"{conditioners}.type_info.output_proj.weight",)),
        "conditioner.prompt_start.weight": Source(
            (f"{prompt}.EOT_emb", f"{prompt}.layer2_EOT_emb"), concat
        ),
        "codes.0.weight": Source(("emb.0.weight",)),
        "codes.1.weight": Source(("layer2_emb.1.weight",)),
        "codes.2.weight": Source(("layer2_emb.2.weight",)),
        "heads.0.weight": Source(("transformer.lm_head.weight",)),
        "heads.1.weight": Source(("linears.0.weight",)),
        "heads.2.weight": Source(("linears.1.weight",)),
        **copy_leaves("bridge_in", "mlp.0", "weight", "bias"),
        **copy_leaves("bridge_out", "mlp.2", "weight", "bias"),
    }
    for k in range(3):
        sources |= copy_leaves(f"conditioner.prompt.{k}", f"{prompt}.emb.{k}", "weight")
    for stage, tower, layers in (
        ("stage1", "transformer", config.layers),
        ("stage2", "transformer2", config.layers_sub),
    ):
        sources |= copy_leaves(f"{stage}.norm", f"{tower}.model.norm", "weight")
        for n in range(layers):
            sources |= _llama_block(f"{stage}.blocks.{n}", f"{tower}.model.layers.{n}")
    unused = (
        r"layer2_emb\.0\.weight",
        r"transformer2?\.model\.embed_tokens\.weight",
        r"transformer2\.lm_head\.weight",
        r"out_norm\.(weight|bias)",
        r"transformer2?\..*\.rotary_emb\.inv_freq",
    )
    return Layout(Kind.LELM, sources, unused)


def _llama_block(ours: str, theirs: str) -> dict[str, Source]:
    qkv = tuple(f"{theirs}.self_attn.{part}_proj.weight" for part in "qkv")
    gate_up = tuple(f"{theirs}.mlp.{part}_proj.weight" for part in ("gate", "up"))
    return {
        f"{ours}.attention_norm.weight": Source((f"{theirs}.input_layernorm.weight",)),
        f"{ours}.qkv.weight": Source(qkv, concat),
        f"{ours}.out.weight": Source((f"{theirs}.self_attn.o_proj.weight",)),
        f"{ours}.mlp_norm.weight": Source((f"{theirs}.post_attention_layernorm.weight",)),
        f"{ours}.gate_up.weight": Source(gate_up, concat),
        f"{ours}.down.weight": Source((f"{theirs}.mlp.down_proj.weight",)),
    }
