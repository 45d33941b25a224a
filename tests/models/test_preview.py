"""Sound of a song under way: the same as of the whole song, as far as it is known."""

from __future__ import annotations

import pytest
import torch

from levo import tiny
from levo.config import SAMPLES_PER_FRAME
from levo.song.preview import EarlySound
from levo.vae.chunks import decode_chunks
from levo.vae.oobleck import Vae

HELD = tiny.VAE.overlap // 2


@pytest.fixture(scope="module")
def song() -> tuple[Vae, torch.Tensor, torch.Tensor]:
    """A VAE, latents of 100 frames, and their sound but for the last frames.

    In float64, because torch takes other kernels for other lengths, which round otherwise.
    """
    vae = Vae(tiny.VAE, dtype=torch.float64)
    tiny.init_weights(vae)
    latents = torch.randn(1, 64, 100, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        return vae, latents, decode_chunks(vae, latents)[..., : (100 - HELD) * SAMPLES_PER_FRAME]


@pytest.mark.parametrize("pieces", [[100], [60, 40], [40, 30, 30], [5, 8, 87], [97, 3]])
def test_pieces_sound_like_the_whole_song_but_for_its_last_frames(inference: None, song, pieces: list[int]):
    vae, latents, heard = song
    early = EarlySound(vae, dtype=torch.float64)
    for piece in latents.split(pieces, dim=2):
        early.add(piece)
    assert early.sound.shape == heard.shape
    assert early.sound.dtype == torch.float32
    assert torch.allclose(early.sound, heard.float(), rtol=1e-6, atol=1e-8)


def test_a_song_of_a_few_frames_waits_for_more():
    early = EarlySound(Vae(tiny.VAE))
    early.add(torch.zeros(1, 64, HELD))
    assert early.sound.shape == (1, 2, 0)


def test_decoding_can_be_stopped(inference: None):
    early = EarlySound(Vae(tiny.VAE))
    with pytest.raises(InterruptedError):
        early.add(torch.zeros(1, 64, 100), stop)


def stop(done: int, total: int) -> None:
    raise InterruptedError
