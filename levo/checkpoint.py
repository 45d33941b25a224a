"""Released tensor names to ours: the only file that knows them.

Strict both ways: every tensor of a file is used, listed as known to be unused, or an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import int8
from .config import LelmConfig, RendererConfig, VaeConfig
from .weightfile import CheckpointError

NAMED_IN_ERRORS = 5
MAPPED = 256_000_000  # bytes read before a file is mapped anew: what was read counts as used memory

LELM, RENDERER, VAE = "LeLM", "renderer", "VAE"
STYLE_ENCODER, SEPARATOR = "1rvq tokenizer", "HTDemucs separator"
# What a released file holds, by a tensor that only this kind has; the first that fits counts.
KINDS = {
    LELM: r"condition_provider\..*",
    RENDERER: r"rvq_bestrq_bgm_emb\..*",
    STYLE_ENCODER: r"rvq_bestrq_emb\..*",
    VAE: r"decoder\.layers\.0\.weight_v",
    SEPARATOR: r"crosstransformer\..*",
}


@dataclass(frozen=True)
class Source:
    """Where one tensor of ours comes from."""

    names: tuple[str, ...]  # released names
    build: Callable[..., Tensor] = lambda tensor: tensor


@dataclass(frozen=True)
class Layout:
    """How one kind of released file maps to one of our models."""

    kind: str  # one of KINDS
    file: str  # what the released file is called, for messages
    sources: dict[str, Source]  # our name -> released tensors
    unused: tuple[str, ...]  # patterns of released names that the model does not need


def fold_weight_norm(gain: Tensor, direction: Tensor) -> Tensor:
    """Weight of a weight-normalised layer (arXiv:1602.07868), normed over all but the first dimension."""
    norm = torch.linalg.vector_norm(direction.float(), dim=tuple(range(1, direction.ndim)), keepdim=True)
    if gain.shape != norm.shape:  # broadcasting would hide it
        raise RuntimeError(f"A gain of {list(gain.shape)} does not fit a weight of {list(direction.shape)}")
    return (gain.float() * direction.float() / norm).to(direction.dtype)


def latent_statistics(counts: Tensor, sum_x: Tensor, sum_x2: Tensor) -> Tensor:
    """Rows [mean, deviation] of the latents from running sums; too few samples mean no normalisation."""
    mean = sum_x / counts
    found = torch.stack((mean, (sum_x2 / counts - mean**2).clamp(min=0).sqrt()))
    none = torch.stack((torch.zeros_like(sum_x), torch.ones_like(sum_x)))
    return torch.where(counts < 10, none, found)


def _fused(*parts: Tensor) -> Tensor:
    if len({part.shape for part in parts}) > 1:
        raise RuntimeError("Parts of one matrix differ in shape")
    return torch.cat(parts, dim=0)


def _transposed(weight: Tensor) -> Tensor:
    return weight.t()


def _folded_matrix(gain: Tensor, direction: Tensor) -> Tensor:
    return fold_weight_norm(gain, direction).squeeze(-1)  # a convolution of width 1 is a linear layer


def _one(ours: str, theirs: str, *leaves: str) -> dict[str, Source]:
    return {f"{ours}.{leaf}": Source((f"{theirs}.{leaf}",)) for leaf in leaves}


def lelm_layout(config: LelmConfig) -> Layout:
    """Layout of `model.pt` of every SongGeneration release."""
    conditioners = "condition_provider.conditioners"
    prompt = f"{conditioners}.prompt_audio"
    sources = {
        "conditioner.lyric.weight": Source((f"{conditioners}.description.output_proj.weight",)),
        "conditioner.structure.weight": Source((f"{conditioners}.description.structure_emb.weight",)),
        "conditioner.style.weight": Source((f"{conditioners}.type_info.output_proj.weight",)),
        "conditioner.prompt_start.weight": Source(
            (f"{prompt}.EOT_emb", f"{prompt}.layer2_EOT_emb"), _fused
        ),
        "codes.0.weight": Source(("emb.0.weight",)),
        "codes.1.weight": Source(("layer2_emb.1.weight",)),
        "codes.2.weight": Source(("layer2_emb.2.weight",)),
        "heads.0.weight": Source(("transformer.lm_head.weight",)),
        "heads.1.weight": Source(("linears.0.weight",)),
        "heads.2.weight": Source(("linears.1.weight",)),
        **_one("bridge_in", "mlp.0", "weight", "bias"),
        **_one("bridge_out", "mlp.2", "weight", "bias"),
    }
    for k in range(3):
        sources |= _one(f"conditioner.prompt.{k}", f"{prompt}.emb.{k}", "weight")
    for stage, tower, layers in (
        ("stage1", "transformer", config.layers),
        ("stage2", "transformer2", config.layers_sub),
    ):
        sources |= _one(f"{stage}.norm", f"{tower}.model.norm", "weight")
        for n in range(layers):
            sources |= _llama_block(f"{stage}.blocks.{n}", f"{tower}.model.layers.{n}")
    unused = (
        r"layer2_emb\.0\.weight",
        r"transformer2?\.model\.embed_tokens\.weight",
        r"transformer2\.lm_head\.weight",
        r"out_norm\.(weight|bias)",
        r"transformer2?\..*\.rotary_emb\.inv_freq",
    )
    return Layout(LELM, "model.pt of a SongGeneration release", sources, unused)


def _llama_block(ours: str, theirs: str) -> dict[str, Source]:
    qkv = tuple(f"{theirs}.self_attn.{part}_proj.weight" for part in "qkv")
    gate_up = tuple(f"{theirs}.mlp.{part}_proj.weight" for part in ("gate", "up"))
    return {
        f"{ours}.attention_norm.weight": Source((f"{theirs}.input_layernorm.weight",)),
        f"{ours}.qkv.weight": Source(qkv, _fused),
        f"{ours}.out.weight": Source((f"{theirs}.self_attn.o_proj.weight",)),
        f"{ours}.mlp_norm.weight": Source((f"{theirs}.post_attention_layernorm.weight",)),
        f"{ours}.gate_up.weight": Source(gate_up, _fused),
        f"{ours}.down.weight": Source((f"{theirs}.mlp.down_proj.weight",)),
    }


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
        **_one("flow.time_in", f"{time}.linear_1", "weight", "bias"),
        **_one("flow.time_out", f"{time}.linear_2", "weight", "bias"),
        **_one("flow.time_modulation", f"{flow}.adaln_single.linear", "weight", "bias"),
        **_one("flow.norm", f"{flow}.ln_f", "weight", "bias"),
        **_one("flow.out", f"{flow}.proj_out", "weight", "bias"),
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
    return Layout(RENDERER, "model_2.safetensors of model_septoken", sources, unused)


def _quantizer(ours: str, theirs: str) -> dict[str, Source]:
    out = f"{theirs}.out_proj"
    return {
        f"{ours}.codebook.weight": Source((f"{theirs}.codebook.weight",)),
        f"{ours}.out.weight": Source((f"{out}.weight_g", f"{out}.weight_v"), _folded_matrix),
        f"{ours}.out.bias": Source((f"{out}.bias",)),
    }


def _flow_block(ours: str, theirs: str) -> dict[str, Source]:
    sources = {
        f"{ours}.modulation.weight": Source((f"{theirs}.scale_shift_table",)),
        **_one(f"{ours}.attention_norm", f"{theirs}.ln_1", "weight", "bias"),
        **_one(f"{ours}.mlp_norm", f"{theirs}.ln_2", "weight", "bias"),
    }
    for layer, name in (
        ("qkv", "attn.c_attn"),
        ("out", "attn.c_proj"),
        ("up", "mlp.c_fc"),
        ("down", "mlp.c_proj"),
    ):
        sources[f"{ours}.{layer}.weight"] = Source(
            (f"{theirs}.{name}.weight",), _transposed
        )  # stored [in, out]
        sources[f"{ours}.{layer}.bias"] = Source((f"{theirs}.{name}.bias",))
    return sources


def vae_layout(config: VaeConfig) -> Layout:
    """Layout of `autoencoder_music_1320k.ckpt`."""
    last = len(config.strides) + 1
    sources = _conv("encoder.first", "encoder.layers.0") | _conv("decoder.first", "decoder.layers.0")
    for n in range(len(config.strides)):
        theirs = f"encoder.layers.{n + 1}.layers"
        sources |= _residual_units(f"encoder.blocks.{n}", theirs, first=0)
        sources |= _one(f"encoder.blocks.{n}.snake", f"{theirs}.3", "alpha", "beta")
        sources |= _conv(f"encoder.blocks.{n}.resample", f"{theirs}.4")
        theirs = f"decoder.layers.{n + 1}.layers"
        sources |= _one(f"decoder.blocks.{n}.snake", f"{theirs}.0", "alpha", "beta")
        sources |= _conv(f"decoder.blocks.{n}.resample", f"{theirs}.1")
        sources |= _residual_units(f"decoder.blocks.{n}", theirs, first=2)
    for side in ("encoder", "decoder"):
        sources |= _one(f"{side}.snake", f"{side}.layers.{last}", "alpha", "beta")
        sources |= _conv(f"{side}.last", f"{side}.layers.{last + 1}", bias=side == "encoder")
    return Layout(VAE, "autoencoder_music_1320k.ckpt", sources, unused=())


def _residual_units(ours: str, theirs: str, first: int) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for unit in range(3):
        layers = f"{theirs}.{first + unit}.layers"
        sources |= _one(f"{ours}.units.{unit}.snake_in", f"{layers}.0", "alpha", "beta")
        sources |= _conv(f"{ours}.units.{unit}.wide", f"{layers}.1")
        sources |= _one(f"{ours}.units.{unit}.snake_out", f"{layers}.2", "alpha", "beta")
        sources |= _conv(f"{ours}.units.{unit}.narrow", f"{layers}.3")
    return sources


def _conv(ours: str, theirs: str, bias: bool = True) -> dict[str, Source]:
    sources = {f"{ours}.weight": Source((f"{theirs}.weight_g", f"{theirs}.weight_v"), fold_weight_norm)}
    return sources | (_one(ours, theirs, "bias") if bias else {})


def plain_name(name: str) -> str:
    """A released name without the prefix of the training wrapper and with the older weight-norm leaves."""
    name = name.removeprefix("audiolm.")
    return name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    )


def check(tensors: Mapping[str, Tensor], layout: Layout, model: nn.Module) -> None:
    """Make sure that released tensors are exactly what `model` needs, without reading their values.

    Args:
        tensors: plain released name -> tensor (the meta device works).
        layout: of this kind of file.
        model: gives the names and shapes that must come out.

    Raises:
        CheckpointError: this is another kind of file, or a tensor is missing, unexpected or of another
            shape; names up to five of each.
    """
    kind = kind_of(tensors)
    if kind not in (None, layout.kind):
        raise CheckpointError(f"This file is a {kind}; the {layout.kind} needs {layout.file}.")
    needed = {name for source in layout.sources.values() for name in source.names}
    unused = re.compile("|".join(layout.unused) or r"(?!)")
    missing = needed - tensors.keys()
    unexpected = [name for name in tensors if name not in needed and not unused.fullmatch(name)]
    if missing or unexpected:
        raise CheckpointError(_complaint(layout, missing=sorted(missing), unexpected=unexpected))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if (shapes.keys() ^ layout.sources.keys()) - int8.scale_names(model):
        raise RuntimeError(f"The layout of {layout.kind} does not fit its model.")
    wrong = []
    for ours, source in layout.sources.items():
        parts = [tensors[name].to("meta") for name in source.names]
        if _shape(source, parts) != shapes[ours]:
            wrong += [f"{n} {list(p.shape)}" for n, p in zip(source.names, parts, strict=True)]
    if wrong:
        raise CheckpointError(_complaint(layout, **{"wrong in shape": wrong}))


def _shape(source: Source, parts: list[Tensor]) -> torch.Size | None:
    try:
        return source.build(*parts).shape
    except (RuntimeError, IndexError):  # shapes that do not go together
        return None


def _complaint(layout: Layout, **found: Iterable[str]) -> str:
    lists = []
    for what, names in found.items():
        names = list(names)
        more = f" and {len(names) - NAMED_IN_ERRORS} more" if len(names) > NAMED_IN_ERRORS else ""
        if names:
            lists.append(f"{what}: {', '.join(names[:NAMED_IN_ERRORS])}{more}")
    return f"This file does not hold a {layout.kind} of the expected size ({'; '.join(lists)})."


def load(model: nn.Module, read: Callable[[], Mapping[str, Tensor]], layout: Layout) -> None:
    """Fill `model` from released tensors, one at a time, cast to its dtypes; nothing is left uninitialised.

    Args:
        model: whose parameters are overwritten.
        read: maps the file: released name -> tensor, of any dtype. Called again and again, so that no more
            than about MAPPED bytes of the file are in memory beside the model.
        layout: of this kind of file.

    Raises:
        CheckpointError: as `check`; the model is then untouched.
    """
    tensors, taken = _plain(read()), 0
    check(tensors, layout, model)
    with torch.no_grad():
        for ours in model.state_dict():
            source = layout.sources.get(ours)
            if source is None:  # a scale, which follows from its weights
                continue
            if taken > MAPPED:
                del tensors  # the old mapping, before there is a new one
                tensors, taken = _plain(read()), 0
            int8.fill(model, ours, source.build(*(tensors[name] for name in source.names)))
            taken += sum(tensors[name].nbytes for name in source.names)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {plain_name(name): tensor for name, tensor in tensors.items()}


def kind_of(tensors: Iterable[str]) -> str | None:
    """Which of KINDS a file with these released names is, None if no name tells."""
    names = [plain_name(name) for name in tensors]
    return next((k for k, p in KINDS.items() if any(re.fullmatch(p, name) for name in names)), None)


def style_rows(tensors: Mapping[str, Tensor]) -> int | None:
    """Rows of LeLM's style table, which tell v1 from v2; None where there is no such table."""
    source = "condition_provider.conditioners.type_info.output_proj.weight"
    return next((t.shape[0] for name, t in tensors.items() if plain_name(name) == source), None)
