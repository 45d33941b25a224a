"""The stages in which the VAE is trained.

`shell`: sound to features at 1,500 Hz and back, a matter of resampling. `heart`: latents to those features.
`whole`: the decoder in one piece, compared by ear's measures. `encoder`: features to latents.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from levo.vae.oobleck import Vae

from . import vae_training as training
from .data import Songs, sound
from .synthesis import HOP
from .training_loop import Stage, descend, parameters_of
from .vae_training import Latents

LEVEL = 4.0  # the sound is trained on at this level; the last layer takes it back in the end
EDGE = 3  # frames at either end of a crop that are not compared: they lack neighbours
FEATURE_RATE = 60  # a frame


def _crop(songs: Songs, step: int, frames: int, salt: int, count: int = 8) -> tuple[Tensor, ...]:
    vocal, band, start = songs.crops(training.crop_seed(salt, step), count, frames)
    return vocal, band, start, LEVEL * sound(vocal, band, start)


def shell(vae: Vae, songs: Songs, steps: int) -> Stage:
    encoder, decoder = vae.encoder, vae.decoder
    assert encoder is not None
    parts = (encoder.first, encoder.blocks[:3], decoder.blocks[2:], decoder.snake, decoder.last)

    def losses(step: int) -> dict[str, Tensor]:
        *_, target = _crop(songs, step, 6, 1)
        features = training.features_of_sound(vae, target)
        made = training.sound_of_features(vae, features + 0.03 * torch.randn_like(features))
        return descend(
            wave=training.wave_loss(made, target),
            spectrum=0.3 * training.spectral_loss(made, target),
            level=(features.square().mean() - 1).relu(),
        )

    return Stage("shell", steps, 3e-3, {"vae": vae}, parameters_of(*parts), losses, (0.8, 0.99))


def heart(vae: Vae, latents: Latents, songs: Songs, steps: int) -> Stage:
    kept = slice(EDGE * FEATURE_RATE, -EDGE * FEATURE_RATE)

    def losses(step: int) -> dict[str, Tensor]:
        vocal, band, start, target = _crop(songs, step, 20, 2)
        with torch.no_grad():
            features = training.features_of_sound(vae, target)[..., kept]
        z = latents(vocal, band, start)
        z = z + training.NOISE * torch.randn_like(z)
        made = training.features_of_latents(vae, z.transpose(1, 2))[..., kept]
        return descend(features=(made - features).square().mean() / features.square().mean())

    trained = parameters_of(vae.decoder.first, vae.decoder.blocks[:2], latents)
    return Stage("heart", steps, 2e-3, {"vae": vae, "latents": latents}, trained, losses)


def whole(vae: Vae, latents: Latents, songs: Songs, steps: int) -> Stage:
    kept = slice(EDGE * HOP, -EDGE * HOP)

    def losses(step: int) -> dict[str, Tensor]:
        vocal, band, start, target = _crop(songs, step, 20, 3)
        with torch.no_grad():
            z = latents(vocal, band, start)
            z = z + training.NOISE * torch.randn_like(z)
        made, target = training.decode(vae, z.transpose(1, 2))[..., kept], target[..., kept]
        return descend(wave=training.wave_loss(made, target), spectrum=training.spectral_loss(made, target))

    return Stage("whole", steps, 1e-3, {"vae": vae}, parameters_of(vae.decoder), losses)


def encoder(vae: Vae, latents: Latents, songs: Songs, steps: int) -> Stage:
    assert vae.encoder is not None
    parts = (vae.encoder.blocks[3:], vae.encoder.snake, vae.encoder.last)

    def losses(step: int) -> dict[str, Tensor]:
        vocal, band, start, target = _crop(songs, step, 20, 4)
        with torch.no_grad():
            features = training.features_of_sound(vae, target)
            z = latents(vocal, band, start)[:, EDGE:-EDGE]
        made = training.latents_of_features(vae, features).transpose(1, 2)[:, EDGE:-EDGE]
        return descend(latents=F.mse_loss(made, z))

    return Stage("encoder", steps, 2e-3, {"vae": vae}, parameters_of(*parts), losses)
