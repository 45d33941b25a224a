"""Stems: three tracks from one seed, what they are rendered from, and that they add up."""

from __future__ import annotations

import pytest
import torch
from support.short_runs import render_song
from support.small_models import SMALL_RENDERER as SMALL
from support.small_models import filled
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from levo import tiny
from levo.audio.loudness import NOTHING
from levo.config import SAMPLES_PER_FRAME, TRACKS, RendererConfig
from levo.progress import ignore
from levo.renderer.model import Renderer
from levo.song.decode import decode_song
from levo.song.latents import SongLatents, StemDifference
from levo.song.render import Prompt, seeded_noise
from levo.song.stems import (
    INDEPENDENT_NOISE,
    MODES,
    RENDERED,
    SUM,
    Stems,
    decode_stems,
    decode_track,
    render_stems,
    residual_db,
)
from levo.vae.oobleck import Vae

CHANNELS = 64

pytestmark = pytest.mark.usefixtures("inference")


def codes(frames: int, number: int = 0) -> Tensor:
    return (torch.arange(3 * frames).view(1, 3, frames) * 7 + number) % 16_000


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return filled(Renderer(SMALL))


@pytest.fixture(scope="module")
def vae() -> Vae:
    return filled(Vae(tiny.VAE))


def tracks_of(stems: Stems) -> list[SongLatents]:
    accompaniment = stems.accompaniment
    if isinstance(accompaniment, StemDifference):
        accompaniment = accompaniment.to_latents()
    return [stems.mix, stems.vocals, accompaniment]


def alone(renderer: Renderer, song: Tensor, track: str, seed: int) -> SongLatents:
    return render_song(renderer, song, seeded_noise(seed, 1, SMALL), track, steps=2)


def same(a: SongLatents, b: SongLatents) -> bool:
    # Rows of a batch are not rounded like a batch of one.
    return all(torch.allclose(x, y, atol=1e-5) for x, y in ((a.samples, b.samples), (a.tail, b.tail)))


def decoding(vae: Vae):
    def decode(latents: SongLatents, on_step) -> Tensor:
        return decode_song(vae, latents, on_step=on_step)

    return decode


# Rendering -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_mix_is_the_one_that_rendering_it_alone_gives(renderer: Renderer, mode: str):
    song = codes(33)
    (stems,) = render_stems(renderer, [song], mode, seed=5, steps=2)
    assert same(stems.mix, alone(renderer, song, "mix", 5))


@pytest.mark.parametrize(
    ("mode", "seeds"), [(SUM, (5, 5)), (RENDERED, (5, 5, 5)), (INDEPENDENT_NOISE, (5, 6, 7))], ids=MODES
)
def test_every_rendered_track_has_the_noise_of_its_mode(
    renderer: Renderer, mode: str, seeds: tuple[int, ...]
):
    song = codes(33)
    (stems,) = render_stems(renderer, [song], mode, seed=5, steps=2)
    for track, made, seed in zip(TRACKS, tracks_of(stems), seeds, strict=False):
        assert same(made, alone(renderer, song, track, seed)), track


def test_each_track_goes_on_from_its_own_style_prompt(renderer: Renderer):
    songs = [codes(33), codes(8, 1)]
    prompts = [Prompt(codes(4)[:, 1], codes(4)[:, 2], torch.randn(1, 4, CHANNELS)) for _ in TRACKS]
    for song, stems in zip(
        songs, render_stems(renderer, songs, RENDERED, 5, 2, prompts=prompts), strict=True
    ):
        for track, made, prompt in zip(TRACKS, tracks_of(stems), prompts, strict=True):
            noise = seeded_noise(5, 1, SMALL)
            assert same(made, render_song(renderer, song, noise, track, steps=2, prompt=prompt)), track
            assert made.prompt_frames == 4


def test_after_the_last_seed_comes_the_first(renderer: Renderer):
    song = codes(12)
    (stems,) = render_stems(renderer, [song], INDEPENDENT_NOISE, seed=(1 << 64) - 1, steps=2)
    assert same(stems.vocals, alone(renderer, song, "vocals", 0))


@pytest.mark.parametrize("mode", MODES)
def test_takes_of_different_lengths_come_out_as_alone(renderer: Renderer, mode: str):
    songs = [codes(33), codes(8, 1), codes(20, 2)]
    together = render_stems(renderer, songs, mode, seed=3, steps=2)
    for song, stems in zip(songs, together, strict=True):
        (single,) = render_stems(renderer, [song], mode, seed=3, steps=2)
        assert all(same(a, b) for a, b in zip(tracks_of(stems), tracks_of(single), strict=True))


def test_the_accompaniment_of_a_sum_keeps_the_latents_of_both(renderer: Renderer):
    (stems,) = render_stems(renderer, [codes(12)], SUM, steps=2)
    latents = stems.accompaniment.to_latents()
    assert latents.samples.shape == (1, 2 * CHANNELS, 12)
    mix, vocals = latents.samples.split(CHANNELS, dim=1)
    assert torch.equal(mix, stems.mix.samples)
    assert torch.equal(vocals, stems.vocals.samples)
    assert latents.tail.shape == (1, 2 * CHANNELS, stems.mix.tail.shape[2])
    again = StemDifference.from_latents(latents)
    assert same(again.mix, stems.mix)
    assert same(again.vocals, stems.vocals)


def test_progress_counts_the_solver_once_for_all_tracks(renderer: Renderer):
    told: list[tuple[int, int]] = []
    render_stems(renderer, [codes(33)], SUM, steps=2, on_step=lambda *step: told.append(step))
    assert told == [(n, 4) for n in range(1, 5)]  # two windows


# Decoding ------------------------------------------------------------------------------------------------


def test_stems_of_a_sum_add_up_to_float_precision(renderer: Renderer, vae: Vae):
    (stems,) = render_stems(renderer, [codes(33)], SUM, steps=2)
    mix, vocals, accompaniment = decode_stems(stems, decoding(vae), ignore)
    assert mix.shape == vocals.shape == accompaniment.shape == (1, 2, 33 * SAMPLES_PER_FRAME)
    assert (mix - vocals - accompaniment).abs().max() <= 2e-7 * mix.abs().max()
    assert residual_db(mix, vocals, accompaniment) < -140
    assert accompaniment.abs().max() > 0.01 * mix.abs().max()


def test_the_tracks_decoded_one_by_one_are_the_same_sound(renderer: Renderer, vae: Vae):
    (stems,) = render_stems(renderer, [codes(33)], SUM, steps=2)
    decode = decoding(vae)
    together = decode_stems(stems, decode, ignore)
    for track, sound in zip((stems.mix, stems.vocals, stems.accompaniment), together, strict=True):
        assert torch.equal(decode_track(track, decode, ignore), sound)


def test_stems_rendered_apart_do_not_add_up(renderer: Renderer, vae: Vae):
    residuals = []
    for mode in (RENDERED, INDEPENDENT_NOISE):
        (stems,) = render_stems(renderer, [codes(33)], mode, steps=2)
        residuals.append(residual_db(*decode_stems(stems, decoding(vae), ignore)))
    assert min(residuals) > -60


def test_an_accompaniment_of_another_song_is_decoded_for_itself(renderer: Renderer, vae: Vae):
    one, other = (render_stems(renderer, [codes(12, n)], SUM, steps=2)[0] for n in (0, 1))
    mixed = Stems(one.mix, one.vocals, other.accompaniment)
    decode = decoding(vae)
    sounds = decode_stems(mixed, decode, ignore)
    assert torch.equal(sounds[2], decode_stems(other, decode, ignore)[2])


@pytest.mark.parametrize(("mode", "decoded"), [(SUM, 2), (RENDERED, 3)])
def test_no_track_is_decoded_twice_and_progress_reaches_the_end(
    renderer: Renderer, vae: Vae, mode: str, decoded: int
):
    (stems,) = render_stems(renderer, [codes(12)], mode, steps=2)
    calls, told = [], []

    def decode(latents: SongLatents, on_step) -> Tensor:
        calls.append(latents)
        return decoding(vae)(latents, on_step)

    decode_stems(stems, decode, lambda *step: told.append(step))
    assert len(calls) == decoded
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_the_residual_is_the_level_of_what_is_left():
    mix = torch.zeros(1, 2, 1_000)
    half = torch.full_like(mix, 0.05)
    assert residual_db(mix, half, half) == pytest.approx(-20, abs=1e-4)
    assert residual_db(mix, half, -half) == NOTHING


def test_a_difference_decodes_to_the_difference():
    def held(latents: SongLatents, on_step) -> Tensor:
        return latents.samples[:, :2]

    mix, vocals = (SongLatents(torch.randn(2, CHANNELS, 9), torch.zeros(2, CHANNELS, 0), 0) for _ in "ab")
    sound = decode_track(StemDifference(mix, vocals), held, ignore)
    assert torch.equal(sound, mix.samples[:, :2] - vocals.samples[:, :2])


# Cost ----------------------------------------------------------------------------------------------------


def test_a_sum_costs_at_most_2_1_times_the_mix(vae: Vae):
    renderer = Renderer(tiny.RENDERER)
    tiny.init_weights(renderer)
    song = codes(60)
    small = RendererConfig()

    def decode(latents: SongLatents, on_step) -> Tensor:
        return decode_song(vae, latents, on_step=on_step)

    with FlopCounterMode(display=False) as mix:
        decode(render_song(renderer, song, seeded_noise(0, 1, small), steps=1), ignore)
    with FlopCounterMode(display=False) as stems:
        (made,) = render_stems(renderer, [song], SUM, steps=1)
        decode_stems(made, decode, ignore)
    assert 1.5 < stems.get_total_flops() / mix.get_total_flops() <= 2.1
