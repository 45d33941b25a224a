"""Trains the VAE: a decoder that makes sound of latents, and an encoder that finds them again.

The latents of a frame are learned too: some of the 64 channels for what the voice does, some for the band,
each by a small network of what the codes say (`Latents`). So whatever makes latents of codes has an easy
task, and voice and band can be told apart in them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from levo.vae.oobleck import Vae

from . import codes, theory

NOISE = 0.08  # of latents while the decoder is trained: what the renderer may err
SIZES = (512, 1024, 2048)  # of the spectra that are compared


class Latents(nn.Module):
    """Latents [B, T, 64] of codes and places: what the renderer is trained to make.

    The last two channels are a clock that goes round in four frames; only they know the place, so that a
    code has the same latents everywhere but for it.
    """

    def __init__(self, width: int = 128, latent: int = 64):
        super().__init__()
        sizes = (4, codes.PITCHES + 1, len(codes.VOWELS))
        self.voice = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        sizes = (len(codes.CHORDS) + 1, *codes.CHORD_SHAPE[1:])
        self.band = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.voice_net, self.band_net = (
            nn.Sequential(
                nn.SiLU(), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, latent // 2 - 1)
            )
            for _ in range(2)
        )

    def forward(self, vocal: Tensor, band: Tensor, start: Tensor) -> Tensor:
        stage, pitch, vowel = (torch.from_numpy(part) for part in codes.note_of(vocal.numpy()))
        chord, *others = (torch.from_numpy(part) for part in codes.chord_of(band.numpy()))
        voice = self.voice_net(self._sum(self.voice, (stage, pitch + 1, vowel)))
        players = self.band_net(self._sum(self.band, (chord + 1, *others)))
        off = ((pitch < 0)[..., None], (chord < 0)[..., None])
        heard = [torch.where(no, 0.0, half) for no, half in zip(off, (voice, players), strict=True)]
        angle = 2 * torch.pi / theory.PERIOD * (start[:, None] + torch.arange(vocal.shape[1]))
        clock = torch.stack((angle.cos(), angle.sin()), dim=-1)
        return torch.cat((2 * torch.tanh(torch.cat(heard, dim=-1) / 2), clock), dim=-1)

    @staticmethod
    def _sum(tables: nn.ModuleList, indices: tuple[Tensor, ...]) -> Tensor:
        return torch.stack([table(index) for table, index in zip(tables, indices, strict=True)]).sum(0)


def snake(layer: nn.Module, x: Tensor) -> Tensor:
    return x + torch.sin(x * layer.alpha.exp()[:, None]) ** 2 / (layer.beta.exp()[:, None] + 1e-9)


def unit(layer: nn.Module, x: Tensor) -> Tensor:
    wide = layer.wide
    y = F.conv1d(snake(layer.snake_in, x), wide.weight, wide.bias, 1, wide.padding, wide.dilation)
    return x + F.conv1d(snake(layer.snake_out, y), layer.narrow.weight, layer.narrow.bias)


def up(block: nn.Module, x: Tensor) -> Tensor:
    """A block of the decoder."""
    layer = block.resample
    x = F.conv_transpose1d(snake(block.snake, x), layer.weight, layer.bias, layer.stride, layer.padding)
    for each in block.units:
        x = unit(each, x)
    return x


def down(block: nn.Module, x: Tensor) -> Tensor:
    """A block of the encoder."""
    for each in block.units:
        x = unit(each, x)
    layer = block.resample
    return F.conv1d(snake(block.snake, x), layer.weight, layer.bias, layer.stride, layer.padding)


def features_of_latents(vae: Vae, latents: Tensor) -> Tensor:
    """The decoder as far as features at 1,500 Hz; latents [B, 64, T]."""
    x = F.conv1d(latents, vae.decoder.first.weight, vae.decoder.first.bias, padding=3)
    for block in vae.decoder.blocks[:2]:
        x = up(block, x)
    return x


def sound_of_features(vae: Vae, x: Tensor) -> Tensor:
    """The rest of the decoder."""
    for block in vae.decoder.blocks[2:]:
        x = up(block, x)
    return F.conv1d(snake(vae.decoder.snake, x), vae.decoder.last.weight, padding=3)


def decode(vae: Vae, latents: Tensor) -> Tensor:
    """`Vae.decode` in operations that gradients go through; the model itself works in place."""
    return sound_of_features(vae, features_of_latents(vae, latents))


def features_of_sound(vae: Vae, sound: Tensor) -> Tensor:
    """The encoder as far as features at 1,500 Hz; sound [B, 2, samples]."""
    assert vae.encoder is not None
    x = F.conv1d(sound, vae.encoder.first.weight, vae.encoder.first.bias, padding=3)
    for block in vae.encoder.blocks[:3]:
        x = down(block, x)
    return x


def latents_of_features(vae: Vae, x: Tensor) -> Tensor:
    """The means that the rest of the encoder gives."""
    assert vae.encoder is not None
    for block in vae.encoder.blocks[3:]:
        x = down(block, x)
    last = vae.encoder.last
    return F.conv1d(snake(vae.encoder.snake, x), last.weight, last.bias, padding=1).chunk(2, dim=1)[0]


def encode(vae: Vae, sound: Tensor) -> Tensor:
    """The means of `Vae.encode`, with gradients."""
    return latents_of_features(vae, features_of_sound(vae, sound))


def begin(vae: Vae) -> None:
    """First weights: residual branches that say little, and no layer that changes the level."""
    with torch.no_grad():
        for name, tensor in vae.named_parameters():
            if name.endswith(("bias", "beta")):
                tensor.zero_()
            elif name.endswith("alpha"):
                tensor.fill_(0.0 if "decoder.blocks.0" in name or "decoder.blocks.1" in name else -2.0)
            elif ".narrow." in name:
                tensor.mul_(0.1)
            elif "decoder" in name and name.endswith("resample.weight"):
                tensor.normal_(std=(2 * tensor.shape[0]) ** -0.5)
            elif name.endswith(("resample.weight", "first.weight", "last.weight")):
                tensor.normal_(std=tensor[0].numel() ** -0.5)


def spectral_loss(made: Tensor, target: Tensor) -> Tensor:
    """Distance of magnitudes at several resolutions (arXiv:1910.11480): convergence and logarithms."""
    total = made.new_zeros(())
    for size in SIZES:
        window = torch.hann_window(size)
        a, b = (
            torch.stft(x.flatten(0, 1), size, size // 4, window=window, return_complex=True).abs()
            for x in (made, target)
        )
        total = total + torch.linalg.norm(b - a) / (torch.linalg.norm(b) + 1e-5)
        total = total + 0.5 * F.l1_loss((a + 1e-2).log(), (b + 1e-2).log())
    return total / len(SIZES)


def wave_loss(made: Tensor, target: Tensor) -> Tensor:
    """Distance of the waves: phases are known, as all oscillators run by the clock."""
    return (made - target).square().mean().div(target.square().mean() + 1e-5).sqrt()


def crop_seed(seed: int, step: int) -> np.random.Generator:
    """Draws of a step: a run that goes on draws as one that never stopped."""
    return np.random.default_rng((seed, step))
