"""Released tensors into our models, checked both ways.

Every tensor of a file is used, listed as known to be unused, or an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ...kinds import MODELS, Kind, second_kind
from ...layers import quantised, weights
from ..packed import Packed, described
from ..tensor_file import CheckpointError
from .layout import Layout, Source

NAMED_IN_ERRORS = 5
SHORT = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float8_e4m3fn: "fp8"}  # others hold all
SMALL = {torch.int8: "int8", torch.uint8: "int4 (uint8)"}  # whole numbers that matrices are stored as
AT_ONCE = 1 << 22  # fp8 numbers that are looked at
MAPPED = 256_000_000  # bytes read before a file is mapped anew: what was read counts as used memory
WHOLE = {torch.float32, torch.float16, torch.bfloat16}  # what packed tensors become at once

Tensors = Mapping[str, Tensor | Packed]  # of a file


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
        CheckpointError: this is another kind of file, or a tensor is missing, unexpected, of another shape
            or of a dtype that no weight has; names up to five of each.
    """
    kind = kind_of(tensors)
    if kind is not None and layout.kind not in (kind, second_kind(kind)):
        raise CheckpointError(f"This file is a {kind}; the {layout.kind} needs {MODELS[layout.kind].file}.")
    needed = {name for source in layout.sources.values() for name in source.names}
    unused = re.compile("|".join(layout.unused) or r"(?!)")
    missing = needed - tensors.keys()
    unexpected = [name for name in tensors if name not in needed and not unused.fullmatch(name)]
    if missing or unexpected:
        named = [_described(name, tensors) for name in sorted(missing)]
        raise CheckpointError(_complaint(layout, missing=named, unexpected=unexpected))
    scales = quantised.scale_names(model)
    if (model.state_dict().keys() ^ layout.sources.keys()) - scales:
        raise RuntimeError(f"The layout of {layout.kind} does not fit its model.")
    _require_numbers({name: tensors[name] for name in needed}, layout, scales)
    wrong = []
    for ours, source in layout.sources.items():
        parts = [tensors[name].to("meta") for name in source.names]
        built = _built(source, parts)
        if built is None or built.shape != weights.shape_of(model, ours, built):
            wrong += [f"{n} {list(p.shape)}" for n, p in zip(source.names, parts, strict=True)]
    if wrong:
        raise CheckpointError(_complaint(layout, **{"wrong in shape": wrong}))


def _described(missing: str, tensors: Mapping[str, Tensor]) -> str:
    """A tensor that is missing; of a scale also why it is missed."""
    weight = tensors.get(name := f"{missing.removesuffix('scale')}weight")
    if not missing.endswith(".scale") or weight is None or weight.dtype not in SMALL:
        return missing
    return f"{missing} of {name}, which is {SMALL[weight.dtype]}"


def _require_numbers(tensors: Mapping[str, Tensor], layout: Layout, scales: set[str]) -> None:
    """Raise CheckpointError, with names, for tensors that cannot be weights by their kind."""
    wrong = [
        f"{name} {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in sorted(tensors.items())
        if tensor.dtype not in layout.dtypes or tensor.layout != torch.strided or tensor.is_quantized
    ]
    # Whole numbers mean something by their scales alone.
    rounded = {f"{name.removesuffix('.scale')}.weight" for name in scales}
    rounded |= {s.names[0] for s in layout.sources.values() if s.names[1:] == (f"{s.names[0][:-6]}scale",)}
    wrong += [
        f"{name} {SMALL[tensor.dtype]} without a scale"
        for name, tensor in sorted(tensors.items())
        if tensor.dtype in SMALL and tensor.dtype in layout.dtypes and name not in rounded
    ]
    if wrong:
        dtypes = ", ".join(
            sorted(str(dtype).removeprefix("torch.") for dtype in layout.dtypes - SMALL.keys())
        )
        raise CheckpointError(
            f"This file holds tensors that are no weights ({_listed(wrong)}), and weights are {dtypes}; "
            "download or make it again."
        )


def _built(source: Source, parts: list[Tensor]) -> Tensor | None:
    try:
        return source.build(*parts)
    except (RuntimeError, IndexError):  # shapes that do not go together
        return None


def _complaint(layout: Layout, **problems: Iterable[str]) -> str:
    lists = []
    for what, names in problems.items():
        if names := list(names):
            lists.append(f"{what}: {_listed(names)}")
    return f"This file does not hold a {layout.kind} of the expected size ({'; '.join(lists)})."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_IN_ERRORS} more" if len(names) > NAMED_IN_ERRORS else ""
    return f"{', '.join(names[:NAMED_IN_ERRORS])}{more}"


def load(
    model: nn.Module,
    read: Callable[[], Tensors],
    layout: Layout,
    device: torch.device | str | None = None,
) -> None:
    """Give `model` released tensors, cast to its dtypes; nothing is left uninitialised.

    Args:
        model: whose tensors are replaced.
        read: maps the file: released name -> tensor, of any dtype or packed. Called again and again, so
            that no more than about MAPPED bytes of the file are in memory beside the model. What is stored
            as the model has it stays mapped.
        layout: of this kind of file.
        device: where the tensors go; None for where the model has them now.

    Raises:
        CheckpointError: as `check`, the model is then untouched; or a tensor holds NaN, Inf or a number
            too large for the model's dtype, and layers that pack their matrices may have new ones.
    """
    check(described(_plain(read())), layout, model)
    with torch.no_grad():
        weights.assign(model, _values(model, read, layout), device)


def _values(model: nn.Module, read: Callable[[], Tensors], layout: Layout) -> Iterator[tuple[str, Tensor]]:
    """Our name and tensor of all that a file holds; one at a time is in memory beside what stays mapped."""
    kept, passing, taken = _plain(read()), _plain(read()), 0
    for ours, expected in model.state_dict().items():
        source = layout.sources.get(ours)
        if source is None:  # a scale, which follows from its weights
            continue
        if taken > MAPPED:
            del passing  # the old mapping, before there is a new one
            passing, taken = _plain(read()), 0
        parts = [_floats(passing[name], expected.dtype, source) for name in source.names]
        built = source.build(*parts)
        stored, whole = kept[source.names[0]], built is parts[0]
        stays = stored if whole and isinstance(stored, Tensor) and _is_as(expected, stored) else None
        unpacked = whole and isinstance(stored, Packed)  # made of it in memory
        # What only looks at the file in another way would hold the mapping; a cut of floats, all of them.
        if stays is None and not unpacked and _looks_at(parts[0], built):
            built = built.clone(memory_format=torch.contiguous_format)
        _require_finite(built, expected.dtype, source)
        yield ours, built if stays is None else stays
        taken += sum(passing[name].nbytes for name in source.names)
        del parts, built


def _is_as(expected: Tensor, stored: Tensor) -> bool:
    return stored.dtype == expected.dtype and stored.is_contiguous()


def _looks_at(part: Tensor, built: Tensor) -> bool:
    """Whether one tensor lies in the memory of another."""
    return built.untyped_storage().data_ptr() == part.untyped_storage().data_ptr()


def _floats(tensor: Tensor | Packed, dtype: torch.dtype, source: Source) -> Tensor:
    """A tensor of a file, unpacked for a model's dtype where it is packed.

    Bytes of Q8_0 too, which int8 layers cannot take as they are: they have a scale for each 32 of them, in
    fp16, and the layers one for each row, in bf16.
    """
    if isinstance(tensor, Tensor):
        return tensor
    look = partial(_require_finite, dtype=dtype, source=source)
    return tensor.floats(dtype if dtype in WHOLE else torch.float32, look)


def _require_finite(built: Tensor, dtype: torch.dtype, source: Source) -> None:
    """Raise CheckpointError, with the released names, for NaN, Inf and what a model's dtype cannot hold."""
    if built.numel() == 0 or not built.is_floating_point() or built.is_meta:
        return
    small = built.dtype.itemsize == 1  # fp8, which torch compares in another dtype alone
    names = " and ".join(source.names)
    for piece in built.reshape(-1).split(AT_ONCE) if small else (built,):
        # In one pass, and without a copy of what is contiguous; one NaN makes both NaN.
        extremes = torch.stack(torch.aminmax(piece.float() if small else piece))
        if not extremes.isfinite().all():
            raise CheckpointError(
                f"{names} holds numbers that are none (NaN or Inf), so the file is damaged; download or "
                "make it again."
            )
        if dtype.is_floating_point and extremes.abs().max() > torch.finfo(dtype).max:
            raise CheckpointError(
                f"{names} holds numbers too large for {SHORT.get(dtype, dtype)}; choose another dtype."
            )


def _plain(tensors: Tensors) -> dict[str, Tensor | Packed]:
    return {plain_name(name): tensor for name, tensor in tensors.items()}


def kind_of(tensors: Iterable[str]) -> Kind | None:
    """Kind of a file with these released names, None if no name tells."""
    names = [plain_name(name) for name in tensors]
    markers = ((kind, model.marker) for kind, model in MODELS.items() if model.marker)
    return next((kind for kind, m in markers if any(re.fullmatch(m, name) for name in names)), None)


def style_rows(tensors: Mapping[str, Tensor]) -> int | None:
    """Rows of LeLM's style table, which tell v1 from v2; None where there is no such table."""
    source = "condition_provider.conditioners.type_info.output_proj.weight"
    return next((t.shape[0] for name, t in tensors.items() if plain_name(name) == source), None)
