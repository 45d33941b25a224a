"""Number formats and attention that the command chooses on the CPU, and that models compute in them."""

from __future__ import annotations

import pytest
import torch
from support.scripted_models import any_conditions
from support.small_models import SMALL_LELM, SMALL_RENDERER
from torch import nn

from levo.command.precision import (
    LELM_DTYPES,
    RENDERER_DTYPES,
    audio_precision,
    device_of,
    lelm_precision,
    renderer_precision,
)
from levo.files import released
from levo.files.loading import load_weights
from levo.layers import fbgemm
from levo.lelm.compose import compose
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.song.render import render_songs, seeded_noise

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", LELM_DTYPES)
def test_lelm_composes_in_every_format(dtype: str):
    how = lelm_precision(dtype, "auto", SMALL_LELM.head_width, CPU)
    model = LeLM(SMALL_LELM, how.operations, how.attention, device="meta", dtype=how.dtype)
    load_weights(model, None, released.lelm_layout(SMALL_LELM), CPU)
    with torch.inference_mode():
        (song,) = compose(model, any_conditions(SMALL_LELM), 2)
    assert song.codes.shape == (1, 3, 2)


@pytest.mark.parametrize("dtype", RENDERER_DTYPES)
def test_the_renderer_has_every_format(dtype: str):
    how = renderer_precision(dtype, "auto", SMALL_RENDERER.width // SMALL_RENDERER.heads, CPU)
    model = Renderer(SMALL_RENDERER, how.operations, how.attention, device="meta", dtype=how.dtype)
    load_weights(model, None, released.renderer_layout(SMALL_RENDERER), CPU)
    with torch.inference_mode():
        (song,) = render_songs(
            model, [torch.zeros(1, 3, 5, dtype=torch.int64)], [seeded_noise(0, 1, SMALL_RENDERER)]
        )
    assert song.samples.isfinite().all()
    smallest = min(tensor.element_size() for tensor in model.state_dict().values())
    assert smallest == {"auto": 4, "fp32": 4, "fp8_e4m3fn": 1}.get(dtype, 2)


def test_auto_is_what_is_fast_or_exact():
    if fbgemm.is_available():
        packed = lelm_precision("auto", "auto", 16, CPU)
        assert packed.dtype == torch.float32
        assert packed.operations is not nn
    assert renderer_precision("auto", "auto", 16, CPU).dtype == torch.float32
    assert audio_precision().dtype == torch.float32
    assert audio_precision("bf16").dtype == torch.bfloat16


def test_flash_attn_is_refused_where_it_cannot_run():
    with pytest.raises(ValueError, match="flash_attn cannot be used here: .*; choose auto or sdpa"):
        lelm_precision("fp32", "flash_attn", 16, CPU)


def test_a_device_that_is_not_here_is_told():
    assert device_of("cpu") == CPU
    with pytest.raises(ValueError, match="The device 'abacus' cannot be used"):
        device_of("abacus")
