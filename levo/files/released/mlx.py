"""The names in MLX files of LeLM (mlx-community's SongGeneration): released ones without their dots.

Matrices lie as in the released files; some keep theirs in few bits (levo/files/mlx_file.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from .layout import Layout, Source

CONDITIONERS = r"condition_provider\.conditioners"
RENAMINGS = (  # pattern of a released name -> the name in the file
    (r"emb\.0\.weight", "emb0.weight"),
    (r"layer2_emb\.(\d)\.weight", r"layer2_emb\1.weight"),
    (r"linears\.(\d)\.weight", r"linears\1.weight"),
    (r"mlp\.(\d)\.(weight|bias)", r"mlp.linear\1.\2"),
    (r"transformer\.lm_head\.weight", "transformer_lm_head.weight"),
    (rf"{CONDITIONERS}\.prompt_audio\.emb\.(\d)\.weight", r"prompt_audio_emb\1.weight"),
    (rf"{CONDITIONERS}\.prompt_audio\.EOT_emb", "prompt_audio_eot"),
    (rf"{CONDITIONERS}\.prompt_audio\.layer2_EOT_emb", "prompt_audio_layer2_eot"),
    (rf"{CONDITIONERS}\.description\.output_proj\.weight", "description_output_proj.weight"),
    (rf"{CONDITIONERS}\.description\.structure_emb\.weight", "description_structure_emb.weight"),
    (rf"{CONDITIONERS}\.type_info\.output_proj\.weight", "type_info_output_proj.weight"),
    (r"(transformer2?)\.model\.(.*)", r"\1.\2"),
)
STYLE_TABLE = "type_info_output_proj.weight"
UNUSED = (r"layer2_emb0\.weight", r"transformer2?\.embed_tokens\.weight")


def is_mlx(names: Iterable[str]) -> bool:
    """Whether tensors of these names are those of an MLX file of LeLM, or of a part of one that tells."""
    return STYLE_TABLE in names


def mlx_name(released: str) -> str:
    """What a released tensor that LeLM needs is called."""
    for pattern, name in RENAMINGS:
        if match := re.fullmatch(pattern, released):
            return match.expand(name)
    raise KeyError(released)


def mlx_layout(layout: Layout) -> Layout:
    """Layout of an MLX file, by that of a released file of the model."""
    sources = {
        ours: Source(tuple(map(mlx_name, source.names)), source.build)
        for ours, source in layout.sources.items()
    }
    return replace(layout, sources=sources, unused=UNUSED)
