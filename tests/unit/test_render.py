"""Whole songs: the choice of a track, lengths, chunks, windows and their seams."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.short_runs import render_song
from support.small_models import SMALL_RENDERER as SMALL
from support.small_models import filled
from torch import Tensor

from levo import tiny
from levo.audio.waveform import crossfade_into
from levo.config import (
    SAMPLES_PER_FRAME,
    SILENT_ACCOMPANIMENT,
    SILENT_VOCAL,
    RenderSettings,
    VaeConfig,
)
from levo.renderer.model import Renderer
from levo.renderer.windows import Noise
from levo.song.decode import decode_song
from levo.song.latents import TAIL, SongLatents
from levo.song.render import Prompt, render_songs, seeded_noise, style_prompt, tracks_of
from levo.vae.chunks import decode_chunks
from levo.vae.oobleck import Vae

TWO_STEPS = RenderSettings(steps=2)

pytestmark = pytest.mark.usefixtures("inference")


class HeldVae:
    """Decodes by holding two channels of a latent for its samples, and notes what it was given."""

    def __init__(self) -> None:
        self.config = VaeConfig()
        self.lengths: list[int] = []

    def decode(self, latents: Tensor) -> Tensor:
        self.lengths.append(latents.shape[2])
        return latents[:, :2].repeat_interleave(SAMPLES_PER_FRAME, dim=2)


def song_codes(frames: int, batch: int = 1) -> Tensor:
    return torch.arange(batch * 3 * frames).view(batch, 3, frames) % 16_000


def held(frames: int, lead: int = 0, tail: int = TAIL, batch: int = 1) -> SongLatents:
    samples = torch.randn(batch, 64, frames + tail, generator=torch.Generator().manual_seed(frames))
    return SongLatents(samples[:, :, :frames], samples[:, :, frames:], lead)


# Tracks --------------------------------------------------------------------------------------------------


def test_the_mix_has_both_tracks():
    codes = song_codes(4)
    vocal, accompaniment = tracks_of(codes, "mix")
    assert torch.equal(vocal, codes[:, 1])
    assert torch.equal(accompaniment, codes[:, 2])


def test_a_track_alone_silences_the_other():
    codes = song_codes(4)
    vocal, silence = tracks_of(codes, "vocals")
    assert torch.equal(vocal, codes[:, 1])
    assert silence.tolist() == [[9670] * 4]
    silence, accompaniment = tracks_of(codes, "accompaniment")
    assert torch.equal(accompaniment, codes[:, 2])
    assert silence.tolist() == [[3142] * 4]


@pytest.mark.parametrize("track", ["drums", "", "Mix"])
def test_an_unknown_track_is_refused_by_name(track):
    with pytest.raises(ValueError, match=f"{track!r}; choose one of mix, vocals, accompaniment"):
        tracks_of(song_codes(4), track)


# Rendering -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return filled(Renderer(SMALL))


def rendered(model: Renderer, frames: int, seed: int = 0, **options) -> SongLatents:
    return render_song(model, song_codes(frames), seeded_noise(seed, 1, SMALL), steps=2, **options)


def test_noise_is_decided_by_its_seed_and_fresh_for_every_window():
    first, again, other = (seeded_noise(seed, 2, SMALL) for seed in (7, 7, 8))
    windows = [first(0), first(1)]
    assert windows[0].shape == (2, 20, 64)
    assert torch.equal(windows[0], again(0))
    assert torch.equal(windows[1], again(1))
    assert not torch.isclose(windows[0], windows[1]).any(-1).all()
    assert not torch.equal(windows[0], other(0))


@pytest.mark.parametrize(("frames", "tail"), [(1, 16), (4, 16), (10, 10), (20, 0), (21, 14), (35, 0)])
def test_a_song_is_as_long_as_its_codes_and_keeps_what_came_after(renderer, frames, tail):
    song = rendered(renderer, frames)
    assert song.samples.shape == (1, 64, frames)
    assert song.tail.shape == (1, 64, tail)
    assert song.prompt_frames == 0


def test_seed_and_track_change_the_sound(renderer):
    mix = rendered(renderer, 12).samples
    assert torch.equal(rendered(renderer, 12).samples, mix)
    assert not torch.equal(rendered(renderer, 12, seed=1).samples, mix)
    vocals, band = (rendered(renderer, 12, track=t).samples for t in ("vocals", "accompaniment"))
    assert not torch.equal(vocals, mix)
    assert not torch.equal(band, mix)
    assert not torch.equal(vocals, band)


def test_a_style_prompt_leads_the_song_and_is_cut_off(renderer):
    codes = song_codes(4)[:, 0] + 9
    latents = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(2))
    song = rendered(renderer, 18, prompt=Prompt(codes, codes + 1, latents))
    assert song.samples.shape == (1, 64, 18)
    assert (song.prompt_frames, song.tail.shape[2]) == (4, 35 - 22)
    other = rendered(renderer, 18, prompt=Prompt(codes, codes + 1, latents + 1))
    assert not torch.isclose(song.samples, other.samples).all(1).any()


class MeanVae:
    """Encodes a frame to the mean of its samples, with a scale that nothing may use."""

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        frames = audio.unflatten(2, (-1, SAMPLES_PER_FRAME)).mean(dim=3)
        return frames, torch.full_like(frames, float("nan"))


@pytest.mark.parametrize(
    ("track", "level", "silent"),
    [("mix", 3.0, ()), ("vocals", 1.0, ("accompaniment",)), ("accompaniment", 2.0, ("vocal",))],
)
def test_a_prompt_has_the_clips_sound_and_codes_without_the_track_not_asked_for(track, level, silent):
    codes, sound = song_codes(250) + 20, torch.ones(1, 2, 4 * SAMPLES_PER_FRAME + 99)
    prompt = style_prompt(MeanVae(), codes, sound, 2 * sound, track)
    assert torch.equal(prompt.latents, torch.full((1, 4, 2), level))
    for name, stream, none in (
        ("vocal", 1, SILENT_VOCAL),
        ("accompaniment", 2, SILENT_ACCOMPANIMENT),
    ):
        expected = torch.full((1, 4), none) if name in silent else codes[:, stream, :4]
        assert torch.equal(getattr(prompt, name), expected)


def noted(takes: list[int], seed: int) -> Noise:
    """Noise of a seed that notes each window it is asked for."""
    draw = seeded_noise(seed, 1, SMALL)
    return lambda window: (takes.append(seed), draw(window))[1]


@pytest.mark.parametrize("led", [False, True])
def test_songs_of_any_lengths_sound_together_as_they_do_alone(renderer, led):
    prompt = None
    if led:
        codes = song_codes(4)[:, 0] + 9
        prompt = Prompt(codes, codes + 1, torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(2)))
    songs = [song_codes(frames) + frames for frames in (46, 7, 27)]
    drawn: list[int] = []
    together = render_songs(renderer, songs, [noted(drawn, n) for n in range(3)], TWO_STEPS, prompt)
    assert drawn == [0, 1, 2, 0, 2, 0]
    for number, (codes, ours) in enumerate(zip(songs, together, strict=True)):
        alone = render_song(renderer, codes, seeded_noise(number, 1, SMALL), steps=2, prompt=prompt)
        assert (ours.samples.shape, ours.tail.shape, ours.prompt_frames) == (
            alone.samples.shape,
            alone.tail.shape,
            alone.prompt_frames,
        )
        torch.testing.assert_close(ours.samples, alone.samples, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.tail, alone.tail, rtol=1e-4, atol=1e-4)


def test_windows_of_one_number_are_one_batch(renderer, monkeypatch):
    rows: list[int] = []
    step = renderer.flow.step
    monkeypatch.setattr(renderer.flow, "step", lambda x, *more: (rows.append(len(x)), step(x, *more))[1])
    reports: list[tuple[int, int]] = []
    songs = [song_codes(frames) for frames in (50, 7, 31)]
    noises = [seeded_noise(n, 1, SMALL) for n in range(3)]
    render_songs(
        renderer,
        songs,
        noises,
        RenderSettings(steps=1),
        on_step=lambda done, total: reports.append((done, total)),
    )
    assert rows == [6, 4, 2]
    assert reports == [(1, 3), (2, 3), (3, 3)]


def test_cutting_keeps_the_song_and_a_tail():
    latents = torch.arange(60.0)[None, :, None].expand(1, -1, 64)
    song = SongLatents.cut(latents, 30, 5, SMALL)
    assert song.samples[0, 0].tolist() == list(range(5, 35))
    assert song.tail[0, 0].tolist() == list(range(35, 35 + TAIL))
    assert song.prompt_frames == 5
    assert SongLatents.cut(latents, 50, 5, SMALL).tail[0, 0].tolist() == list(range(55, 60))
    assert SongLatents.cut(latents, 60, 0, SMALL).tail.shape == (1, 64, 0)


# Decoding ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [0, 250])
@pytest.mark.parametrize("tail", [0, TAIL])
@pytest.mark.parametrize("frames", [1, 100, 128, 129, 750, 1000, 1001, 1750, 1751])
def test_every_frame_is_heard_once_and_in_its_place(frames, tail, lead):
    latents = held(frames, lead, tail, batch=2)
    audio = decode_song(HeldVae(), latents)
    assert audio.shape == (2, 2, frames * 1920)
    torch.testing.assert_close(audio[..., ::480], latents.samples[:, :2].repeat_interleave(4, dim=2))


def test_decoding_reports_frames_up_to_all_of_them():
    reports: list[tuple[int, int]] = []
    decode_song(HeldVae(), held(1800), on_step=lambda done, total: reports.append((done, total)))
    done = [d for d, _ in reports]
    assert {total for _, total in reports} == {1000 + 1000 + 316}
    assert done == sorted(set(done))
    assert done[-1] == 2316


class CountingVae(HeldVae):
    """Sounds as loud as the number of times it was asked before: shows which window is heard."""

    def decode(self, latents: Tensor) -> Tensor:
        self.lengths.append(latents.shape[2])
        return torch.full((1, 2, latents.shape[2] * SAMPLES_PER_FRAME), float(len(self.lengths) - 1))


@pytest.mark.parametrize(("lead", "border"), [(0, 750), (250, 500)])
def test_windows_fade_over_ten_seconds_where_they_were_rendered(lead, border):
    vae = CountingVae()
    vae.config = replace(VaeConfig(), chunk=2_000)
    sound = decode_song(vae, held(1100, lead))[0, 0].view(1100, 1920)
    assert vae.lengths == [1000 - lead, 1100 + TAIL - border]
    assert (sound[:border] == 0).all()
    assert (sound[border + 250 :] == 1).all()
    fade = sound[border : border + 250].flatten()
    torch.testing.assert_close(fade, torch.linspace(0, 1, 250 * 1920))


@pytest.fixture(scope="module")
def vae() -> Vae:
    """In float64: random weights turn the rounding of float32 into differences of their own."""
    return filled(Vae(replace(tiny.VAE, channels=2), dtype=torch.float64))


@pytest.fixture(scope="module")
def latents() -> Tensor:
    return held(300).samples.double()


@pytest.fixture(scope="module")
def whole(vae: Vae, latents: Tensor) -> Tensor:
    """The sound of the latents in one piece."""
    with torch.inference_mode():
        return vae.decode(latents)


def test_chunks_sound_like_the_whole(vae, latents, whole):
    chunked = decode_chunks(vae, latents)
    assert chunked.shape == whole.shape
    assert float((chunked - whole).abs().max() / whole.std()) < 1e-5


@pytest.mark.parametrize("chunk", [64, 100, 200, 300, 1000])
def test_the_sound_does_not_depend_on_the_size_of_chunks(vae, latents, whole, chunk):
    chunked = decode_chunks(vae, latents, chunk)
    assert float((chunked - whole).abs().max() / whole.std()) < 1e-5


def test_chunks_of_a_narrow_overlap_would_not(vae, latents, whole):
    other = Vae(replace(vae.config, overlap=8), dtype=torch.float64)
    other.load_state_dict(vae.state_dict())
    chunked = decode_chunks(other, latents)
    assert float((chunked - whole).abs().max() / whole.std()) > 1e-3


def test_the_tail_is_heard_at_the_end(vae):
    latents = held(40)
    cut = replace(latents, tail=latents.tail[:, :, :0])
    known = torch.cat((latents.samples, latents.tail), dim=2).double()
    whole = vae.decode(known)[..., : 40 * 1920]
    with_tail, without = (decode_song(vae, song, dtype=torch.float64) for song in (latents, cut))
    assert float((with_tail - whole).abs().max() / whole.std()) < 1e-5
    assert float((without - whole).abs().max() / whole.std()) > 1e-2


def test_chunks_never_grow_beyond_their_size():
    for frames in (1, 127, 128, 129, 224, 225, 300):
        stub = HeldVae()
        decode_chunks(stub, held(frames).samples)
        assert max(stub.lengths) == min(frames, 128)
        assert len(set(stub.lengths)) == 1
        decode_song(stub, held(frames, tail=0), chunk=70)
        assert max(stub.lengths[-2:]) == min(frames, 70)


# Seams ---------------------------------------------------------------------------------------------------


def test_equal_signals_stay_equal_across_a_fade():
    song, piece = torch.full((1, 2, 50), 0.7), torch.full((1, 2, 30), 0.7)
    crossfade_into(song, piece, 20, 15)
    torch.testing.assert_close(song, torch.full((1, 2, 50), 0.7))


def test_a_fade_goes_evenly_from_the_old_to_the_new():
    song = torch.ones(1, 1, 12)
    crossfade_into(song, torch.full((1, 1, 8), 3.0), 2, 5)
    assert song.flatten().tolist() == [1, 1, 1, 1.5, 2, 2.5, 3, 3, 3, 3, 1, 1]


def test_without_overlap_a_piece_overwrites_and_what_does_not_fit_is_dropped():
    song = torch.ones(1, 1, 5)
    crossfade_into(song, torch.full((1, 1, 8), 3.0), 2, 0)
    assert song.flatten().tolist() == [1, 1, 3, 3, 3]
