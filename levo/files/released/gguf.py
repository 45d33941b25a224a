"""The names in GGUF files of LeVo 2: released ones in other words, or as they were.

Two dialects are known. One has names of its own for LeLM, the flow (our renderer) and the decoder of the
VAE, folded and turned round as our models want them (`levo2`, of ckadirt's converter); the other keeps the
released names of LeLM (`songgen-lelm`, of songgen.cpp). Knows no container.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...kinds import Kind
from .layout import Layout, Source, concat, fold_weight_norm, folded_matrix, transpose, unchanged

PADDING = 256  # columns; the widest block, to whole ones of which rows are filled up with zeros

Renamings = tuple[tuple[str, str], ...]  # pattern of a released name -> the name in the file

CONDITIONERS = r"condition_provider\.conditioners"
BLOCK = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm",
    **{f"self_attn.{part}_proj.weight": f"attn_{part}.weight" for part in "qkv"},
    "self_attn.o_proj.weight": "attn_output.weight",
    **{f"mlp.{part}_proj.weight": f"ffn_{part}.weight" for part in ("gate", "up", "down")},
}
LELM: Renamings = (
    (r"emb\.0\.weight", "token_embd.mixed"),
    (r"layer2_emb\.1\.weight", "token_embd.vocal"),
    (r"layer2_emb\.2\.weight", "token_embd.bgm"),
    (r"transformer\.lm_head\.weight", "output.mixed"),
    (r"linears\.0\.weight", "output.vocal"),
    (r"linears\.1\.weight", "output.bgm"),
    (r"mlp\.([02]\.(?:weight|bias))", r"bridge.\1"),
    (rf"{CONDITIONERS}\.description\.output_proj\.weight", "cond.lyrics.weight"),
    (rf"{CONDITIONERS}\.description\.structure_emb\.weight", "cond.structure.weight"),
    (rf"{CONDITIONERS}\.type_info\.output_proj\.weight", "cond.style.weight"),
    (rf"{CONDITIONERS}\.prompt_audio\.emb\.0\.weight", "cond.prompt_embd.mixed.weight"),
    (rf"{CONDITIONERS}\.prompt_audio\.emb\.1\.weight", "cond.prompt_embd.vocal.weight"),
    (rf"{CONDITIONERS}\.prompt_audio\.emb\.2\.weight", "cond.prompt_embd.bgm.weight"),
    (rf"{CONDITIONERS}\.prompt_audio\.EOT_emb", "cond.prompt_eot.mixed"),
    (rf"{CONDITIONERS}\.prompt_audio\.layer2_EOT_emb", "cond.prompt_eot.detail"),
    (r"transformer\.model\.norm\.weight", "main.output_norm"),
    (r"transformer2\.model\.norm\.weight", "detail.output_norm"),
    *(
        (rf"transformer\.model\.layers\.(\d+)\.{re.escape(a)}", rf"main.blk.\1.{b}")
        for a, b in BLOCK.items()
    ),
    *(
        (rf"transformer2\.model\.layers\.(\d+)\.{re.escape(a)}", rf"detail.blk.\1.{b}")
        for a, b in BLOCK.items()
    ),
)
FLOW: Renamings = (
    (r"rvq_bestrq_emb\.quantizers\.0\.(.*)", r"flow.rvq.vocal.\1"),
    (r"rvq_bestrq_bgm_emb\.quantizers\.0\.(.*)", r"flow.rvq.bgm.\1"),
    (r"mask_emb\.weight", "flow.mask_embedding.weight"),
    (r"normfeat\.(\w+)", r"flow.norm.\1"),
    (r"cfm_wrapper\.estimator\.wpe\.weight", "flow.position_embedding.weight"),
    (
        r"cfm_wrapper\.estimator\.adaln_single\.emb\.timestep_embedder\.(linear_[12]\.\w+)",
        r"flow.time_embedding.\1",
    ),
    (r"cfm_wrapper\.estimator\.adaln_single\.linear\.(\w+)", r"flow.time_modulation.\1"),
    (r"cfm_wrapper\.estimator\.scale_shift_table", "flow.final_modulation.weight"),
    (r"cfm_wrapper\.estimator\.ln_f\.(\w+)", r"flow.final_norm.\1"),
    (r"cfm_wrapper\.estimator\.proj_out\.(\w+)", r"flow.output.\1"),
    (r"cfm_wrapper\.estimator\.h\.(\d+)\.ln_([12])\.(\w+)", r"flow.block.\1.norm_\2.\3"),
    (r"cfm_wrapper\.estimator\.h\.(\d+)\.attn\.c_attn\.(\w+)", r"flow.block.\1.attn.qkv.\2"),
    (r"cfm_wrapper\.estimator\.h\.(\d+)\.attn\.c_proj\.(\w+)", r"flow.block.\1.attn.out.\2"),
    (r"cfm_wrapper\.estimator\.h\.(\d+)\.mlp\.c_fc\.(\w+)", r"flow.block.\1.ffn.in.\2"),
    (r"cfm_wrapper\.estimator\.h\.(\d+)\.mlp\.c_proj\.(\w+)", r"flow.block.\1.ffn.out.\2"),
    (r"cfm_wrapper\.estimator\.h\.(\d+)\.scale_shift_table", r"flow.block.\1.modulation.weight"),
)
UNITS = {"0": "pre", "1": "conv.0", "2": "post", "3": "conv.1"}  # layers of a residual unit


@dataclass(frozen=True)
class Dialect:
    """What files of one architecture hold, and how a released name is called in them."""

    kind: Kind
    name: Callable[[str], str]
    unused: tuple[str, ...] | None = None  # patterns of names that no model needs; None: as released


def _renamed(released: str, renamings: Renamings) -> str:
    for pattern, name in renamings:
        if match := re.fullmatch(pattern, released):
            return match.expand(name)
    raise KeyError(released)


def _vae_name(released: str) -> str:
    side, _, place = released.partition(".layers.")
    assert side == "decoder"
    if match := re.fullmatch(r"0\.(\w+)", place):
        return f"vae.decoder.input.{match[1]}"
    if match := re.fullmatch(r"(\d+)\.layers\.0\.(alpha|beta)", place):
        return f"vae.decoder.stage.{int(match[1]) - 1}.upsample.activation.{match[2]}_log"
    if match := re.fullmatch(r"(\d+)\.layers\.1\.(\w+)", place):
        return f"vae.decoder.stage.{int(match[1]) - 1}.upsample.{match[2]}"
    if match := re.fullmatch(r"(\d+)\.layers\.(\d)\.layers\.(\d)\.(\w+)", place):
        leaf = f"{match[4]}_log" if match[4] in ("alpha", "beta") else match[4]
        unit = f"residual.{int(match[2]) - 2}.{UNITS[match[3]]}"
        return f"vae.decoder.stage.{int(match[1]) - 1}.{unit}.{leaf}"
    leaf = place.partition(".")[2]
    return f"vae.decoder.output.{leaf}_log" if leaf in ("alpha", "beta") else f"vae.decoder.output.{leaf}"


DIALECTS = {
    "levo2": Dialect(Kind.LELM, partial(_renamed, renamings=LELM), ()),
    "levo2_flow": Dialect(
        Kind.RENDERER, partial(_renamed, renamings=FLOW), (r"flow\.null_condition\.weight",)
    ),
    "levo2_vae": Dialect(Kind.VAE, _vae_name, ()),
    "songgen-lelm": Dialect(Kind.LELM, str),
}


def gguf_layout(architecture: str, layout: Layout, shapes: Mapping[str, torch.Size]) -> Layout:
    """Layout of a GGUF file.

    Args:
        architecture: of DIALECTS.
        layout: of a released file of the model.
        shapes: of the model's tensors, by our names.
    """
    dialect = DIALECTS[architecture]
    sources = {ours: _source(source, dialect, shapes[ours]) for ours, source in layout.sources.items()}
    unused = layout.unused if dialect.unused is None else dialect.unused
    return replace(layout, sources=sources, unused=unused)


def _source(source: Source, dialect: Dialect, shape: torch.Size) -> Source:
    """Where a tensor of ours comes from, whose shape is given."""
    names, build = source.names, source.build
    if build in (fold_weight_norm, folded_matrix):  # folded when the file was made
        names, build = (names[0].removesuffix("_g"),), unchanged
    elif build is transpose:  # turned round when the file was made
        build = partial(cut, columns=shape[1])
    elif build is concat and "EOT_emb" in names[0]:
        build = as_rows
    return Source(tuple(map(dialect.name, names)), build)


def cut(weight: Tensor, columns: int) -> Tensor:
    """A matrix without the zeros that fill its rows up to whole blocks."""
    if weight.ndim != 2 or not 0 <= weight.shape[1] - columns < PADDING:
        raise RuntimeError(f"Rows of {list(weight.shape)} are not {columns} and padding")
    return weight if weight.shape[1] == columns else weight[:, :columns]


def as_rows(*parts: Tensor) -> Tensor:
    """Lists of numbers, with an axis of one beside or without, below each other."""
    return concat(*(part.reshape(1, -1) for part in parts))
