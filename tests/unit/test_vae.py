"""The autoencoder: shapes, its activation, and how far a latent frame is heard."""

from __future__ import annotations

import pytest
import torch
from support.small_models import filled
from torch import nn
from torch.nn import functional as F

from levo import tiny
from levo.config import SAMPLES_PER_FRAME, VaeConfig
from levo.song.latents import TAIL
from levo.vae import oobleck
from levo.vae.oobleck import Snake, Vae

NARROW = VaeConfig(channels=2)  # released strides and widths' proportions

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def vae() -> Vae:
    return filled(Vae(NARROW))


def latents(frames: int) -> torch.Tensor:
    return torch.randn(1, 64, frames, generator=torch.Generator().manual_seed(1))


def test_a_frame_is_1920_samples():
    assert VaeConfig().ratio == SAMPLES_PER_FRAME == 1_920


def test_encoding_gives_mean_and_scale_of_64_channels_a_frame(vae):
    mean, scale = vae.encode(torch.randn(2, 2, 3 * 1_920))
    assert mean.shape == scale.shape == (2, 64, 3)
    assert not torch.equal(mean, scale)


def test_decoding_gives_1920_stereo_samples_a_frame(vae):
    assert vae.decode(latents(5).expand(2, -1, -1)).shape == (2, 2, 5 * 1_920)


@pytest.mark.parametrize("strides", [(3,), (2, 5), (7, 2)])
def test_odd_strides_keep_the_length(strides):
    config = VaeConfig(channels=2, multiples=(1,) * len(strides), strides=strides, latent=3)
    model = Vae(config)
    assert model.encode(torch.randn(1, 2, 4 * config.ratio))[0].shape == (1, 3, 4)


def test_snake_is_x_and_a_squared_sine():
    snake = Snake(2)
    snake.alpha.copy_(torch.tensor([0.0, 0.7]))
    snake.beta.copy_(torch.tensor([0.3, -0.4]))
    x = torch.linspace(-3, 3, 11).repeat(1, 2, 1)
    for channel, (alpha, beta) in enumerate([(1.0, 1.3498588), (2.0137527, 0.6703200)]):
        expected = x[0, channel] + torch.sin(alpha * x[0, channel]) ** 2 / beta
        torch.testing.assert_close(snake(x)[0, channel], expected)


def plainly(model: Vae, x: torch.Tensor) -> torch.Tensor:
    """The decoder as torch's own one-dimensional layers compute it."""

    def snake(layer: Snake, x: torch.Tensor) -> torch.Tensor:
        alpha, beta = layer.alpha.exp()[:, None], layer.beta.exp()[:, None]
        return x + torch.sin(x * alpha) ** 2 / (beta + 1e-9)

    def convolved(layer: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
        return F.conv1d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)

    x = convolved(model.decoder.first, x)
    for block in model.decoder.blocks:
        up = block.resample
        x = F.conv_transpose1d(snake(block.snake, x), up.weight, up.bias, up.stride, up.padding)
        for unit in block.units:
            x = x + convolved(
                unit.narrow, snake(unit.snake_out, convolved(unit.wide, snake(unit.snake_in, x)))
            )
    return convolved(model.decoder.last, snake(model.decoder.snake, x))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("strides", [(2, 4), (3, 2), (5, 1)])
def test_decoding_is_what_plain_layers_compute(strides, batch):
    config = VaeConfig(channels=6, multiples=(1, 2), strides=strides, latent=5)
    model = Vae(config, dtype=torch.float64)
    tiny.init_weights(model)
    x = torch.randn(batch, 5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    before = x.clone()
    torch.testing.assert_close(model.decode(x), plainly(model, x))
    assert torch.equal(x, before)


def test_snake_can_work_in_place_and_on_long_sounds_in_blocks(monkeypatch):
    snake = Snake(2)
    tiny.init_weights(snake)
    x = torch.linspace(-3, 3, 101).repeat(1, 2, 1)
    whole = snake(x)
    monkeypatch.setattr(oobleck, "CACHED", 20)
    assert torch.equal(snake(x), whole)
    assert snake(x, out=x) is x
    assert torch.equal(x, whole)


def reach(model: Vae, frames: int = 48, at: int = 24) -> tuple[float, float]:
    """Frames before and after a changed latent frame whose sound changes, measured in samples."""
    before = latents(frames)
    after = before.clone()
    after[:, :, at] += 100
    change = (model.decode(after) - model.decode(before)).abs().amax((0, 1)).nonzero().flatten()
    first, last = int(change[0]), int(change[-1])
    return at - first / 1_920, (last + 1) / 1_920 - (at + 1)


def test_a_latent_is_heard_no_further_than_the_tail_and_half_a_chunks_overlap(vae):
    before, after = reach(vae)
    assert min(before, after) > 4  # the change is heard at all, and around its own frame
    assert max(before, after) <= TAIL
    assert max(before, after) <= NARROW.overlap // 2
