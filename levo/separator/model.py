"""HTDemucs (arXiv:2211.08553) as the package demucs-infer has it, in the build that was released.

The only file that knows the package; it is imported when the first separator is built.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from ..config import SeparatorConfig

# What the released model was built with, beside its sizes. Whatever else HTDemucs takes only matters
# while it is trained.
ARGUMENTS: dict[str, Any] = {
    "audio_channels": 2,
    "samplerate": 44_100,
    "channels_time": None,
    "growth": 2,
    "nfft": 4096,
    "cac": True,
    "depth": 4,
    "rewrite": True,
    "multi_freqs": None,
    "freq_emb": 0.2,
    "emb_scale": 10,
    "kernel_size": 8,
    "stride": 4,
    "time_stride": 2,
    "context": 1,
    "context_enc": 0,
    "norm_starts": 4,
    "norm_groups": 4,
    "dconv_mode": 3,
    "dconv_depth": 2,
    "t_emb": "sin",
    "t_max_period": 10_000.0,
    "t_weight_pos_embed": 1.0,
    "t_sin_random_shift": 0,
    "t_hidden_scale": 4.0,
    "t_heads": 8,
    "t_gelu": True,
    "t_layer_scale": True,
    "t_norm_in": True,
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_norm_first": True,
    "t_norm_out": True,
    "t_cross_first": False,
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "use_train_segment": True,
}


class MissingPackageError(ImportError):
    """demucs-infer is not installed; the message is for the user."""


def arguments(config: SeparatorConfig) -> dict[str, Any]:
    """What HTDemucs is built with."""
    return ARGUMENTS | {
        "sources": list(config.stems),
        "channels": config.channels,
        "dconv_comp": config.compression,
        "bottom_channels": config.bottom,
        "t_layers": config.layers,
        "segment": config.segment,
    }


def build(config: SeparatorConfig, device: torch.device | str = "cpu") -> nn.Module:
    """HTDemucs whose weights are still to be filled in, all of them.

    Raises:
        MissingPackageError: demucs-infer is not installed.
    """
    model_class = _htdemucs()
    with torch.device("meta"):  # which takes no time; initial values are of no use
        model = model_class(**arguments(config), rescale=0, emb_smooth=False)
    return model.to_empty(device=device).eval()


def _htdemucs() -> type[nn.Module]:
    known = {name: module for name, module in sys.modules.items() if _is_demucs(name)}
    first = "demucs_infer" not in sys.modules
    try:
        from demucs_infer.htdemucs import HTDemucs
    except ImportError as error:
        raise MissingPackageError(
            "LeVo Load Separator needs the package demucs-infer: run "
            f'"{sys.executable}" -m pip install demucs-infer and start ComfyUI again.'
        ) from error
    if first:  # it calls itself demucs, too; another pack that needs the real one shall get it
        for name in [name for name in sys.modules if _is_demucs(name)]:
            del sys.modules[name]
        sys.modules.update(known)
    return HTDemucs


def _is_demucs(name: str) -> bool:
    return name.partition(".")[0] == "demucs"
