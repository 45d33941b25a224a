"""Which kernel multiplies a step's few rows by matrices in few bits: tried before it is used."""

from __future__ import annotations

import logging
from functools import partial

import torch

from . import quantised, quantised_triton

log = logging.getLogger(__name__)


def few_rows_kernel(
    layer: type[quantised.QuantisedLinear], device: torch.device, dtype: torch.dtype
) -> quantised.Kernel | None:
    """What multiplies by few bits, for a kind of layer and activations of a dtype.

    Says in the log what it is, or that there is none.
    """
    if device.type == "cuda" and dtype != torch.float32 and quantised_triton.is_available(device):
        kernel = quantised.Kernel("a Triton kernel", quantised_triton.MAX_ROWS, quantised_triton.product)
        reason = quantised.refusal(partial(kernel.is_right, layer, device, dtype))
        if reason is None:
            log.info("Matrices in few bits are multiplied by %s.", kernel.name)
            return kernel
        log.warning("%s cannot be used here (%s).", kernel.name.capitalize(), reason)
    log.warning(
        "int8 and int4 are for memory alone on this machine: no kernel multiplies by them, so each step "
        "turns all matrices into %s, which takes longer than reading them as %s would.",
        *(str(dtype).removeprefix("torch."),) * 2,
    )
    return None
